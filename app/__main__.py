"""`python -m app`, with what has to be so before anything else is imported."""

from __future__ import annotations

import builtins
import gc
import os
import sys


def import_without_features() -> None:
    """Put back the `__import__` that PySide wraps: it reads the whole source of each module that comes
    after it, to see whether it may use `__feature__`. Nothing here does, and it is a tenth of the start.
    """
    import PySide6.QtCore  # noqa: F401

    builtins.__import__ = vars(builtins).get("__orig_import__", builtins.__import__)


def main() -> int:
    if os.name == "posix" and sys.getfilesystemencoding() != "utf-8":
        # Qt takes every path for UTF-8, whatever the locale: one path would be two files, Python's and Qt's.
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    gc.disable()  # start-up makes no garbage worth a search: see app.garbage_collector
    import_without_features()
    from app.application import start

    return start()


if __name__ == "__main__":
    sys.exit(main())
