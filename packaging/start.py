"""Where the built app begins: what it starts itself must not find its libraries."""

import os
import sys

from app.__main__ import main

for name in (
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
):  # set by PyInstaller's starter for this process
    if os.environ.get(name) is not None:
        original = os.environ.pop(f"{name}_ORIG", None)
        if original is None:
            del os.environ[name]
        else:
            os.environ[name] = original

sys.exit(main())
