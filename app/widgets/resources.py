"""Paths of the bundled files."""

from __future__ import annotations

import logging
from pathlib import Path

from PySide6.QtGui import QFontDatabase

from engine.installation import RESOURCES

FONTS = RESOURCES / "fonts"
ICONS = RESOURCES / "icons"
APP_ICON = ICONS / "mezzotint.svg"

_log = logging.getLogger(__name__)


def load_fonts(folder: Path = FONTS) -> None:
    """Register the bundled faces; without one of them the app goes on in the next family of its list."""
    for path in sorted(folder.rglob("*.[to]tf")):
        if QFontDatabase.addApplicationFont(str(path)) == -1:
            _log.warning("The font %s could not be loaded.", path)
