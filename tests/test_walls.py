"""The two walls: app/ brings no torch in, engine/ brings no Qt in. Each is tried in a fresh process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TORCH_FREE = [
    "engine.events",
    "engine.plans",
    "engine.nvidia",
    "engine.errors",
    "engine.engine",
    "engine.replay",
    "engine.catalogue",
    "engine.prompt",
    "engine.process",
]


def modules_in(package: str) -> list[str]:
    files = (file.relative_to(ROOT).with_suffix("") for file in sorted((ROOT / package).rglob("*.py")))
    return [".".join(file.parts).removesuffix(".__init__") for file in files]


@pytest.mark.parametrize(
    ("modules", "banned"),
    [
        pytest.param(modules_in("app"), {"torch", "transformers"}, id="app-without-torch"),
        pytest.param(
            ["app.start"], {"pynvml", "huggingface_hub", "qasync"}, id="window-without-what-is-slow"
        ),
        pytest.param(TORCH_FREE, {"torch", "transformers", "PySide6"}, id="engine-without-torch"),
        pytest.param(modules_in("engine"), {"PySide6", "shiboken6", "app"}, id="engine-without-qt"),
    ],
)
def test_an_import_stays_behind_its_wall(modules: list[str], banned: set[str]) -> None:
    assert modules
    lines = [f"import {module}" for module in modules]
    lines += ["import sys", f"print(*{banned!r}.intersection(sys.modules))"]
    answer = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split() == []
