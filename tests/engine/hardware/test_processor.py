"""Cores and priority, in processes of their own: a lower priority cannot be raised again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from engine.hardware import processor

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("cores", "spare"), [(1, 1), (2, 1), (8, 7)])
def test_one_core_is_left_to_the_writer(cores: int, spare: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda _self: list(range(cores)), raising=False)
    assert processor.spare_cores() == spare


def test_where_affinity_is_unknown_all_cores_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(psutil.Process, "cpu_affinity", raising=False)
    monkeypatch.setattr(psutil, "cpu_count", lambda: 4)
    assert processor.spare_cores() == 3


@pytest.mark.skipif(psutil.WINDOWS, reason="Windows has classes of priority and no niceness")
@pytest.mark.parametrize(("before", "after"), [(0, 10), (15, 19)])
def test_a_priority_is_lowered_as_far_as_there_is(before: int, after: int) -> None:
    mine = psutil.Process().nice()
    code = (
        "import psutil; from engine.hardware.processor import lower_priority;"
        f"psutil.Process().nice(max(psutil.Process().nice(), {before}));"
        "lower_priority(); print(psutil.Process().nice())"
    )
    done = subprocess.run((sys.executable, "-c", code), cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) == (min(19, mine + 10) if mine > before else after)
