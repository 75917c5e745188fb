"""`python -m app`: start-up makes no garbage worth a search, so none is made until the window collects."""

from __future__ import annotations

import gc
import sys


def main() -> int:
    gc.disable()  # see app.garbage_collector
    from app.application import start

    return start()


if __name__ == "__main__":
    sys.exit(main())
