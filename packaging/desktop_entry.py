"""The launcher for Linux desktops, by the Desktop Entry Specification."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def desktop_folder() -> Path | None:
    folder = Path.home() / "Desktop"
    if shutil.which("xdg-user-dir"):
        answer = subprocess.run(["xdg-user-dir", "DESKTOP"], capture_output=True, text=True).stdout.strip()
        folder = Path(answer or folder)
    return folder if folder.is_dir() and folder != Path.home() else None


def desktop_entry(root: Path, python: Path) -> str:
    lines = {
        "Type": "Application",
        "Name": "Mezzotint",
        "GenericName": "Writing assistant",
        "Comment": "Draft a paragraph at once, on your own machine",
        "Exec": escape(f"{quote(str(python))} -m app %f"),
        "Path": escape(str(root)),
        "Icon": escape(str(root / "resources" / "icons" / "mezzotint.svg")),
        "Terminal": "false",
        "MimeType": "text/plain;text/markdown;",
        "Categories": "Office;WordProcessor;",
        "StartupNotify": "true",
        "StartupWMClass": "Mezzotint",
    }
    return "[Desktop Entry]\n" + "".join(f"{key}={value}\n" for key, value in lines.items())


def quote(argument: str) -> str:
    """One argument of Exec, by the Desktop Entry Specification."""
    for character in '\\"`$':
        argument = argument.replace(character, "\\" + character)
    return '"' + argument.replace("%", "%%") + '"'


def escape(value: str) -> str:
    """A value of type string, by the Desktop Entry Specification."""
    return value.replace("\\", "\\\\").replace("\n", "\\n")
