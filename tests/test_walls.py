"""The walls: app/ brings no torch in, engine/ brings no Qt in and keeps the library from the network. Each is
tried in a fresh process.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TORCH_FREE = [
    "engine.__main__",
    "engine.checkpoints.catalogue",
    "engine.checkpoints.checkpoint",
    "engine.checkpoints.files",
    "engine.checkpoints.memory_estimate",
    "engine.checkpoints.memory_plan",
    "engine.checkpoints.model_shape",
    "engine.checkpoints.precision",
    "engine.checkpoints.units",
    "engine.cli.benchmark",
    "engine.cli.console",
    "engine.cli.draft",
    "engine.cli.listing",
    "engine.cli.serve",
    "engine.cli.terminal_view",
    "engine.diffusion.constraints",
    "engine.diffusion.validation",
    "engine.hardware.device_groups",
    "engine.hardware.nvidia",
    "engine.hardware.processor",
    "engine.hardware.selection",
    "engine.hardware.system_memory",
    "engine.installation",
    "engine.protocol.codec",
    "engine.protocol.engine",
    "engine.protocol.errors",
    "engine.protocol.events",
    "engine.protocol.message",
    "engine.protocol.requests",
    "engine.runtime.child_environment",
    "engine.runtime.child_process",
    "engine.runtime.local_engine",
    "engine.runtime.process_engine",
    "engine.runtime.replay_engine",
    "engine.runtime.server",
    "engine.text.detokenizer",
    "engine.text.prompt",
]
# Instead of the library, what its importers have told it by then.
TOLD = """
import importlib, os, sys

class Library:
    def find_spec(self, name, path=None, target=None):
        if name == "transformers":
            print(module, os.environ.get("HF_HUB_OFFLINE"))
            raise ImportError

sys.meta_path.insert(0, Library())
for module in sys.argv[1:]:
    os.environ.pop("HF_HUB_OFFLINE", None)
    for name in [name for name in sys.modules if name.partition(".")[0] == "engine"]:
        del sys.modules[name]
    try:
        importlib.import_module(module)
    except ImportError:
        pass
"""


def modules_in(package: str) -> list[str]:
    files = (file.relative_to(ROOT).with_suffix("") for file in sorted((ROOT / package).rglob("*.py")))
    return [".".join(file.parts).removesuffix(".__init__") for file in files]


@pytest.mark.parametrize(
    ("modules", "banned"),
    [
        pytest.param(modules_in("app"), {"torch", "transformers"}, id="app-without-torch"),
        pytest.param(
            ["app.application"], {"pynvml", "huggingface_hub", "qasync"}, id="window-without-what-is-slow"
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


def test_whichever_module_is_imported_first_the_library_stays_off_the_network() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", TOLD, *modules_in("engine")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert answer.returncode == 0, answer.stderr
    told = dict(line.split() for line in answer.stdout.splitlines())
    assert {
        "engine.model.diffusion_gemma",
        "engine.quantization.packed_experts",
        "engine.model.fast_modules",
    } <= told.keys()
    assert set(told.values()) == {"1"}
