"""The memory of this computer."""

from __future__ import annotations

import sys

import pytest

from engine.hardware.system_memory import ram


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no plain call for what is free")
def test_this_computer_tells_what_it_has_and_what_is_free() -> None:
    total, free = ram()
    assert 10**8 < free <= total
