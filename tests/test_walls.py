"""The walls: app/ brings no torch in, engine/ brings no Qt in and keeps the library from the network, each
tried in a fresh process; and folders import downwards only.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {
    "engine": (
        "installation",
        "protocol",
        "hardware",
        "text",
        "checkpoints",
        "quantization",
        "model",
        "diffusion",
        "runtime",
        "bench",
        "cli",
    ),
    "app": (
        "widgets",
        "documents",
        "settings",
        "editor",
        "worker",
        "drafting",
        "history",
        "provenance",
        "checks",
        "models",
        "engine_setup",
        "support",
        "window",
    ),
}
"""A folder, or installation.py, may import from those before it; the files beside the folders from all."""
TORCH_FOLDERS = ("engine.quantization", "engine.model", "engine.bench")
TORCH_FILES = (
    "engine.hardware.torch_devices",
    "engine.hardware.device_map",
    "engine.text.tokenizer",
    "engine.diffusion.sampling",
    "engine.diffusion.constraints",
    "engine.diffusion.denoising",
    "engine.diffusion.canvas_plan",
    "engine.diffusion.ranking",
    "engine.diffusion.draft_batch",
)
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


def may_import_torch(module: str) -> bool:
    return module in TORCH_FILES or module.startswith(TORCH_FOLDERS)


def modules_in(package: str) -> list[str]:
    files = (file.relative_to(ROOT).with_suffix("") for file in sorted((ROOT / package).rglob("*.py")))
    return [".".join(file.parts).removesuffix(".__init__") for file in files]


@pytest.mark.parametrize(
    ("modules", "banned"),
    [
        pytest.param(modules_in("app"), {"torch", "transformers"}, id="app-without-torch"),
        pytest.param(
            ["app.application"],
            {"pynvml", "huggingface_hub", "qasync", "sqlite3"},
            id="window-without-what-is-slow",
        ),
        pytest.param(
            [module for module in modules_in("engine") if not may_import_torch(module)],
            {"torch", "transformers", "PySide6"},
            id="engine-without-torch",
        ),
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


def imported_by(source: str, *, at_once: bool) -> set[str]:
    """The modules and names that the text of a module imports. at_once: when it is imported itself."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.ImportFrom) and node.module:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (
            isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        )
        if not (at_once and later):
            for child in ast.iter_child_nodes(node):
                visit(child)

    visit(ast.parse(source))
    return found


def upward_imports(package: str, sources: dict[str, str]) -> list[tuple[str, str]]:
    """Pairs of a module and what it imports from a folder below its own. sources: by the modules' names."""
    order = {f"{package}.{folder}": rank for rank, folder in enumerate(FOLDERS[package])}

    def rank(module: str) -> int:
        return order.get(".".join(module.split(".")[:2]), len(order))

    return [
        (module, imported)
        for module, source in sources.items()
        for imported in sorted(imported_by(source, at_once=False))
        if imported.startswith(f"{package}.") and rank(imported) > rank(module)
    ]


def import_circles(sources: dict[str, str]) -> list[list[str]]:
    """Circles of modules that import each other while they are imported."""
    imports = {
        module: {
            name if name in sources else name.rpartition(".")[0] for name in imported_by(source, at_once=True)
        }
        & sources.keys() - {module}
        for module, source in sources.items()
    }
    found: list[list[str]] = []
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> None:
        if module in path:
            found.append(path[path.index(module) :])
        elif module not in done:
            for imported in sorted(imports[module]):
                walk(imported, [*path, module])
            done.add(module)

    for module in sorted(sources):
        walk(module, [])
    return found


def sources_of(package: str) -> dict[str, str]:
    files = sorted((ROOT / package).rglob("*.py"))
    return dict(zip(modules_in(package), (file.read_text(encoding="utf-8") for file in files), strict=True))


@pytest.mark.parametrize("package", ["engine", "app"])
def test_folders_import_downwards_only(package: str) -> None:
    sources = sources_of(package)
    assert {module.split(".")[1] for module in sources if module.count(".") > 1} <= set(FOLDERS[package])
    assert upward_imports(package, sources) == []


def test_no_modules_import_each_other() -> None:
    assert import_circles(sources_of("engine") | sources_of("app")) == []


def test_an_import_that_goes_up_or_round_is_found() -> None:
    up = "def later():\n    from engine.model.loading import load_weights\n"
    assert upward_imports("engine", {"engine.text.prompt": up}) == [
        ("engine.text.prompt", "engine.model.loading.load_weights")
    ]
    assert upward_imports("engine", {"engine.cli.draft": up, "engine.__main__": up}) == []
    one, other = "from app.b import thing", "if 1:\n    import app.a"
    assert import_circles({"app.a": one, "app.b": other}) == [["app.a", "app.b"]]
    assert import_circles({"app.a": f"def f():\n    {one}", "app.b": other}) == []


@pytest.mark.parametrize("package", ["engine", "app"])
def test_no_folder_is_a_drawer(package: str) -> None:
    """A newcomer takes in sixteen names at a glance."""
    for folder in (ROOT / package, *filter(Path.is_dir, (ROOT / package).rglob("*"))):
        assert len(list(folder.glob("*.py"))) <= 16, folder
