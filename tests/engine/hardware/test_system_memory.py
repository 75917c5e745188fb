"""The memory of this computer."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.hardware.system_memory import memory_now


def test_this_computer_tells_what_it_has_and_what_is_available() -> None:
    memory = memory_now()
    assert 10**8 < memory.available_bytes <= memory.total_bytes


@pytest.mark.skipif(not psutil.LINUX, reason="other systems have no /proc/meminfo to garble")
@pytest.mark.parametrize("text", ["", "MemTotal: many kB\n", "MemTotal:\n", "MemAvailable: 5 kB\n"])
def test_memory_that_is_not_told_is_none(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meminfo").write_text(text)
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path), raising=False)
    assert memory_now() == (0, 0)


def test_memory_that_may_not_be_asked_for_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(psutil, "virtual_memory", refuse)
    assert memory_now() == (0, 0)
