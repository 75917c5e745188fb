"""Where the built app begins: what it starts itself must find neither its libraries nor its Qt plug-ins; its
own modules are found as long as it runs.
"""

import os
import sys

from app.__main__ import main

for name in list(os.environ):  # what PyInstaller has told this process, which has read it by now
    if name.startswith("_PYI_") or name in ("QT_PLUGIN_PATH", "QML2_IMPORT_PATH"):
        del os.environ[name]
for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"):
    before = os.environ.pop(f"{name}_ORIG", None)
    if before is not None:
        os.environ[name] = before
    else:
        os.environ.pop(name, None)

if sys.platform == "linux":  # the file that was started, also where an upgrade has put another in its place
    sys.modules["pyimod02_importers"].pyz_archive._filename = "/proc/self/exe"

sys.exit(main())
