"""Fetch the files of a repository, each from the byte where an earlier try ended.

The client's own `hf_hub_download` begins a file anew after a kill, hence the ranged requests here, over its
session.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import httpx2
import msgspec
from huggingface_hub import get_session, hf_hub_url, hf_raise_for_status
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from app.models.transfer.hub_errors import explain, host_of, may_pass, told_wait_s
from app.models.transfer.messages import HubOrder, OnReport, Waiting
from app.models.transfer.progress_reporter import ProgressReporter
from engine.protocol.errors import FaultError

T = TypeVar("T")

DELAYS_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0, 60.0, 60.0)
"""Between the tries that bring nothing; after the last one the download fails."""
TIMEOUT = httpx2.Timeout(15.0, read=30.0)


@dataclass(frozen=True)
class HubFile:
    """A file of a repository."""

    name: str
    size_bytes: Annotated[int, msgspec.Meta(ge=0)]
    hash: str
    """The sha256 of a large file, git's hash of a small one. A mirror may tell neither."""


class ResumableFetch:
    """Into `folder`, counted by `meter`."""

    def __init__(
        self,
        order: HubOrder,
        folder: Path,
        meter: ProgressReporter,
        on_report: OnReport,
        endpoint: str,
        wait: Callable[[float], None],
    ) -> None:
        """wait: how to let seconds pass between two tries."""
        self._repo, self._token = order.repo, order.token
        self._folder = folder
        self._meter = meter
        self._on_report = on_report
        self._endpoint = endpoint
        self._host = host_of(endpoint)
        self._wait = wait
        self._ranges = True
        self.revision = ""
        """The commit, once it is known."""

    def fetch(self, file: HubFile) -> None:
        if not file.hash:
            raise FaultError(
                "network",
                f"{self._host} does not tell the hash of {file.name}: what arrives could not be checked.",
                "Use another mirror, or none: change HF_ENDPOINT, and start Mezzotint again.",
            )
        if self.size_here(file) != file.size_bytes:
            self.patiently(lambda: self._continue(file))

    def _continue(self, file: HubFile) -> None:
        """One request, from the byte where the file ends here."""
        path = self._folder / file.name
        here = self.size_here(file) or 0
        if here > file.size_bytes:
            path.unlink()
            here = 0
        url = hf_hub_url(self._repo, file.name, revision=self.revision, endpoint=self._endpoint)
        wanted = {"range": f"bytes={here}-"} if here and self._ranges else {}
        headers = build_hf_headers(
            token=self._token or False, headers={"accept-encoding": "identity"} | wanted
        )
        with (
            get_session().stream("GET", url, headers=headers, timeout=TIMEOUT) as response,
            path.open("ab") as out,
        ):
            if response.status_code == 416:
                out.truncate(0)
                raise self._wrong_size(file)
            hf_raise_for_status(response)
            if response.headers.get("content-type", "").startswith("text/html"):
                raise self.foreign(file.name)
            if _announced_size(response) not in (None, file.size_bytes):
                raise self._wrong_size(file)
            if response.status_code == 206 and not _begins_at(here, response):
                self._ranges = False
                raise httpx2.RemoteProtocolError(f"{file.name} does not go on at byte {here}")
            skip = 0 if response.status_code == 206 else here  # a mirror that knows no ranges
            for chunk in response.iter_bytes():
                new = chunk[skip:]
                skip -= len(chunk) - len(new)
                here += len(new)
                if here > file.size_bytes:
                    out.truncate(0)
                    raise self._wrong_size(file)
                out.write(new)
                out.flush()  # a kill costs no byte that was told
                self._meter.add(len(new))
            os.fsync(out.fileno())
        if here < file.size_bytes:
            raise httpx2.RemoteProtocolError(f"{file.name} ended after {here} bytes")

    def size_here(self, file: HubFile) -> int | None:
        """None for a file that is not there."""
        path = self._folder / file.name
        return path.stat().st_size if path.exists() else None

    def _wrong_size(self, file: HubFile) -> FaultError:
        sent = f"What {self._host} sends as {file.name} does not have the size that it named."
        return FaultError("damaged", sent, "Try again: only this is downloaded anew.")

    def patiently(self, act: Callable[[], T]) -> T:
        """Try until all of DELAYS_S have passed without a byte that is new."""
        tries = 0
        while True:
            before = self._meter.done_bytes
            try:
                return act()
            except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, ImportError) as error:
                if self._meter.done_bytes > before:
                    tries = 0
                fault = explain(error, self._endpoint, self._repo, with_token=bool(self._token))
                if tries == len(DELAYS_S) or not may_pass(error):
                    raise fault from error
                seconds = told_wait_s(error) or DELAYS_S[tries]
                tries += 1
                self._on_report(Waiting(message=fault.fault.message, seconds=seconds))
                self._wait(seconds)

    def foreign(self, expected: str, details: str = "") -> FaultError:
        return FaultError(
            "network",
            f"What {self._host} answered is not {expected}.",
            "If your network has a login page, open it in a browser first. Otherwise check HF_ENDPOINT.",
            details,
        )


def _begins_at(byte: int, response: httpx2.Response) -> bool:
    """A part of what is compressed cannot be unpacked."""
    headers = response.headers
    return "content-encoding" not in headers and headers.get("content-range", "").startswith(f"bytes {byte}-")


def _announced_size(response: httpx2.Response) -> int | None:
    """The whole file's, as the server tells it."""
    headers = response.headers
    if "content-encoding" in headers:
        return None
    told = headers.get("content-range") if response.status_code == 206 else headers.get("content-length")
    match = re.search(r"(\d+)$", told or "")
    return int(match[1]) if match else None
