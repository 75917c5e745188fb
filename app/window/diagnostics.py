"""What helps to find a fault: versions, devices, settings, the log's end; no text and no file name."""

from __future__ import annotations

import os
import platform
import re
import tomllib
from collections.abc import Iterable
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import platformdirs
from PySide6.QtCore import qVersion
from PySide6.QtGui import QGuiApplication

from app.settings.schema import Settings
from engine.protocol.events import Device, Ready

PACKAGES = (
    *("PySide6-Essentials", "torch", "transformers", "bitsandbytes", "safetensors", "huggingface_hub"),
    *("httpx2", "msgspec", "nvidia-ml-py", "platformdirs", "qasync", "socksio"),
)
ROOT = Path(__file__).resolve().parents[2]
_LOG_LINES, _LOG_BYTES = 200, 2**16
_QUOTED = re.compile("“[^”\n]*”")
# From a path's beginning to the line's or the quotation's end: a name may hold any sign.
_PATH = re.compile(r"""(?<!\w)(?:[A-Za-z]:[\\/]|[\\/~])[^\n"'“”]*""")


def version(package: str) -> str:
    """Without importing the package: torch takes seconds."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not found"


def app_version() -> str:
    project = ROOT / "pyproject.toml"
    if project.is_file():  # it runs from its source
        return str(tomllib.loads(project.read_text("utf-8"))["project"]["version"])
    return version("mezzotint")


def licence(package: str) -> str:
    """In the package's own words, in short."""
    try:
        told = metadata.metadata(package)
    except metadata.PackageNotFoundError:
        return ""
    classified = [line for line in told.get_all("Classifier", []) if line.startswith("License ::")]
    short = told["License-Expression"] or (told["License"] or "").partition("\n")[0]
    return str(short.replace("UNKNOWN", "") or "".join(classified[:1]).rpartition(" :: ")[2])


def diagnostics(settings: Settings, ready: Ready | None, devices: Iterable[Device]) -> str:
    values = asdict(settings)
    values["model_folders"] = len(settings.model_folders)
    del values["window_geometry"]
    screens = ", ".join(
        f"{screen.size().width()} × {screen.size().height()} at {screen.devicePixelRatio():g}"
        for screen in QGuiApplication.screens()
    )
    parts = {
        "Mezzotint": [
            app_version(),
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
        "Settings": [f"{name}: {_redacted(str(value))}" for name, value in values.items()],
        "The log’s end": log_end(),
    }
    return "\n".join(
        f"{title}\n" + "".join(f"  {line}\n" for line in lines) for title, lines in parts.items()
    )


def log_end() -> list[str]:
    """Its last lines, without names."""
    path = platformdirs.user_log_path("mezzotint", appauthor=False) / "mezzotint.log"
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ["no log"]
    return [_redacted(line) for line in text.splitlines()[-_LOG_LINES:]]


def _redacted(line: str) -> str:
    """Paths and what is quoted by “” go; the places in the app's own code stay."""
    for own in (ROOT / "app", ROOT / "engine", Path(os.__file__).parent):
        line = line.replace(str(own), own.name)
    return _PATH.sub("(path)", _QUOTED.sub("“…”", line))
