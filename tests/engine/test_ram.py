"""The memory of this computer."""

from __future__ import annotations

import subprocess
import sys

import pytest

from engine.ram import ram


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no plain call for what is free")
def test_this_computer_tells_what_it_has_and_what_is_free() -> None:
    total, free = ram()
    assert 10**8 < free <= total


def test_asking_brings_no_torch_in() -> None:
    code = "import sys, engine.ram; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
