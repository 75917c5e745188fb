"""What helps to find a fault: versions, devices, settings, the log's end; no text and no file name."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable
from dataclasses import asdict
from importlib import metadata

from PySide6.QtCore import qVersion
from PySide6.QtGui import QGuiApplication

from app.settings.schema import Settings
from app.support.log_file import log_end
from app.support.project import project
from app.support.redaction import redacted, redacted_lines
from app.support.run_record import LostRun
from engine.protocol.events import Device, Ready

PACKAGES = (
    *("PySide6-Essentials", "torch", "transformers", "bitsandbytes", "safetensors", "huggingface_hub"),
    *("httpx2", "msgspec", "nvidia-ml-py", "platformdirs", "qasync", "socksio"),
)
_ENDS = {
    "crash": "a crash",
    "error": "an error in Mezzotint",
    "killed": "ended from outside, begun",
}


def version(package: str) -> str:
    """Without importing the package: torch takes seconds."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not found"


def licence(package: str) -> str:
    """In the package's own words, in short."""
    try:
        told = metadata.metadata(package)
    except metadata.PackageNotFoundError:
        return ""
    classified = [line for line in told.get_all("Classifier", []) if line.startswith("License ::")]
    short = told["License-Expression"] or (told["License"] or "").partition("\n")[0]
    return str(short.replace("UNKNOWN", "") or "".join(classified[:1]).rpartition(" :: ")[2])


def diagnostics(
    settings: Settings,
    ready: Ready | None,
    devices: Iterable[Device],
    lost: LostRun | None = None,
    log: list[str] | None = None,
) -> str:
    """lost: an earlier run, with the log as it left it."""
    values = asdict(settings)
    values["model_folders"] = len(settings.model_folders)
    for name in ("engine_mirror", "engine_python_mirror", "engine_proxy"):  # which may hold a password
        values[name] = bool(values[name])
    del values["window_geometry"]
    screens = ", ".join(
        f"{screen.size().width()} × {screen.size().height()} at {screen.devicePixelRatio():g}"
        for screen in QGuiApplication.screens()
    )
    parts = {
        "Mezzotint": [
            project().version,
            f"Python {platform.python_version()} · Qt {qVersion()} · {platform.platform()}",
            f"{QGuiApplication.platformName()} · {screens}",
        ],
        "Packages": [f"{package} {version(package)}" for package in PACKAGES],
        "Devices": [
            f"{one.id} · {one.name} · {one.free_bytes:,} of {one.total_bytes:,} bytes" for one in devices
        ],
        "Model": [f"{ready.precision} · {ready.device.id} · {ready.memory_bytes:,} bytes"]
        if ready
        else ["none"],
        "Settings": [f"{name}: {redacted(str(value))}" for name, value in values.items()],
        "The log’s end": list(redacted_lines(log_end() if log is None else log)) or ["no log"],
    }
    if lost:
        ended = f"{_ENDS[lost.end]} at {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(lost.written_at))}"
        parts = {"The end of an earlier run": [ended, *redacted_lines(lost.stack.splitlines())]} | parts
    return "\n".join(
        f"{title}\n" + "".join(f"  {line}\n" for line in lines) for title, lines in parts.items()
    )
