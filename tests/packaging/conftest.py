"""packaging/ holds scripts, not a package: its folder goes on the path, as it does when they are started."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "packaging"))
