"""`python -m app`: start-up makes no garbage worth a search, so none is made until the window collects."""

from __future__ import annotations

import gc
import os
import sys


def main() -> int:
    if os.name == "posix" and sys.getfilesystemencoding() != "utf-8":
        # Qt takes every path for UTF-8, whatever the locale: one path would be two files, Python's and Qt's.
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    gc.disable()  # see app.garbage_collector
    from app.application import start

    return start()


if __name__ == "__main__":
    sys.exit(main())
