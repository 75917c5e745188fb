"""The log: a file of at most 1 MB, and its end for a report."""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

import platformdirs

from app.documents.atomic_file import check_ordinary

_FORMAT = "%(asctime)s %(name)s %(levelname)s %(message)s"
_LINES, _BYTES = 200, 2**16


def log_folder() -> Path:
    return platformdirs.user_log_path("mezzotint", appauthor=False)


def log_to(folder: Path) -> None:
    """Log to a file in it, and warnings to stderr; where no file can be made, to stderr alone."""
    console = logging.StreamHandler()
    console.setLevel(logging.WARNING)
    handlers: list[logging.Handler] = [console]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handlers.append(
            RotatingFileHandler(_ordinary(folder), maxBytes=10**6, backupCount=1, encoding="utf-8")
        )
    except OSError as error:
        console.setLevel(logging.INFO)
        logging.getLogger(__name__).warning("No log file can be kept in %s: %s", folder, error)
    logging.basicConfig(level=logging.INFO, handlers=handlers, format=_FORMAT)


def stop_logging() -> None:
    """Nothing is written to the file any more."""
    for handler in logging.getLogger().handlers[:]:
        logging.getLogger().removeHandler(handler)
        handler.close()


def log_end() -> list[str]:
    """Its last lines."""
    try:
        path = _ordinary(log_folder())
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return text.splitlines()[-_LINES:]


def _ordinary(folder: Path) -> Path:
    """To open a pipe is to wait for ever."""
    path = folder / "mezzotint.log"
    check_ordinary(path)
    return path
