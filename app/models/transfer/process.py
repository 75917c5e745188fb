"""The process that fetches a model: `python -m app.models.transfer.process`.

An order comes as the first line of stdin, reports go to stdout. It ends when stdin ends, so that it never
outlives the app.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from typing import assert_never

import msgspec

from app.models.transfer.folder_copy import copy_model
from app.models.transfer.messages import Failed, HubOrder, ImportOrder, OnReport, Order, Report, encode
from engine.protocol.errors import FaultError, fault_of

# Read by huggingface_hub when it is imported. No token but the order's, no request but the download's.
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "0",
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DEBUG": "0",
}


def perform(order: Order, on_report: OnReport) -> None:
    """The last report is done or failed."""
    try:
        match order:
            case HubOrder():
                try:
                    from app.models.transfer.hub_download import HubDownload
                except ValueError as error:  # it looks at HF_ENDPOINT
                    raise FaultError(
                        "network",
                        "The address of the Hub cannot be used.",
                        "Correct HF_ENDPOINT, and start Mezzotint again.",
                        str(error),
                    ) from error

                HubDownload(order, on_report).run()
            case ImportOrder():
                copy_model(order, on_report)
            case _:
                assert_never(order)
    except Exception as error:
        on_report(Failed(fault=fault_of(error)))


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in the app's terminal is the app's
    os.environ.update(ENVIRONMENT | plain_proxies() | {"HF_ENDPOINT": endpoint()})
    reports = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    order: Order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    threading.Thread(target=_end_with_stdin, daemon=True).start()

    def on_report(report: Report) -> None:
        reports.write(encode(report))
        reports.flush()

    perform(order, on_report)


def endpoint() -> str:
    """The Hub's address, or a mirror's. The client would take an empty one for an address, too."""
    return os.environ.get("HF_ENDPOINT") or "https://huggingface.co"


def plain_proxies() -> dict[str, str]:
    """Those that desktops write as socks://, which the client does not know."""
    socks = re.compile("socks:", re.IGNORECASE)
    return {
        name: socks.sub("socks5:", value, count=1)
        for name, value in os.environ.items()
        if name.lower().endswith("_proxy") and socks.match(value)
    }


def _end_with_stdin() -> None:
    while os.read(0, 4096):  # not sys.stdin: its lock would be held when the process ends of itself
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
