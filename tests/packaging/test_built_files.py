"""What the built app holds: what its children run, nothing that they bring along, no library too many."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import built_files
import metainfo
import pytest

BLOCK = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in absent:
            raise ModuleNotFoundError(name)

absent = set(sys.argv[1].split())
for name in absent & sys.modules.keys():
    del sys.modules[name]
sys.meta_path.insert(0, Absent())
"""
LOADER = """
import runpy, sys, types
reader = types.SimpleNamespace(_filename="mezzotint")
sys.modules["pyimod02_importers"] = types.SimpleNamespace(pyz_archive=reader)
"""
"""As PyInstaller leaves it: it would open the program anew, by its path, for each module."""
OF_CHILDREN = {"app.models.transfer.hub_download", "app.models.transfer.resumable_fetch"}
OF_CHILDREN |= {"app.models.transfer.hub_errors"}


def python(code: str, *arguments: str, path: Path = built_files.ROOT) -> str:
    answer = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(path), "PYTHONSAFEPATH": "1"},
        cwd=path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The source folder of the built app."""
    for file in built_files.source_files():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(built_files.ROOT / file, tmp_path / file)
    (tmp_path / "built.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize("module", [*built_files.CHILDREN, *sorted(OF_CHILDREN), "engine.__main__"])
def test_the_source_folder_is_enough_for_a_child(source: Path, module: str) -> None:
    code = f"import {module}, sys, engine.installation as one\nprint({module}.__file__, one.KIND)"
    file, kind = python(code, path=source).rsplit(maxsplit=1)
    assert Path(file).is_relative_to(source)
    assert kind == "built"


def test_a_download_brings_no_torch_along(source: Path) -> None:
    imports = "\n".join(f"import {module}" for module in [*built_files.CHILDREN, *OF_CHILDREN])
    assert python(f"{imports}\nimport sys\nprint('torch' in sys.modules)", path=source).strip() == "False"


def test_the_source_folder_has_the_starter_model_and_no_pictures() -> None:
    files = built_files.source_files()
    assert Path("resources/models/starter/model.safetensors") in files
    assert Path("LICENSE") in files
    assert not [file for file in files if file.is_relative_to("resources/pictures")]
    assert not [file for file in files if file.is_relative_to("app/window")]
    modules = [file for file in files if file.suffix == ".py"]
    packages = {folder / "__init__.py" for file in modules for folder in file.parents if folder.parts}
    assert packages <= set(files)


def test_the_app_does_without_what_is_left_out() -> None:
    files = (file.relative_to(built_files.ROOT) for file in (built_files.ROOT / "app").rglob("*.py"))
    modules = {".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files}
    imports = [f"import {module}" for module in sorted(modules - OF_CHILDREN)]
    python("\n".join([BLOCK, *imports, "import qasync, regex, pynvml"]), " ".join(built_files.NOT_IMPORTED))


@pytest.mark.parametrize(
    ("destination", "source", "goes"),
    [
        ("PySide6/Qt/plugins/platforms/libqxcb.so", "/venv/site-packages/…", True),
        ("PySide6/Qt/plugins/platforms/libqwayland.so", "/venv/site-packages/…", True),
        ("PySide6/Qt/plugins/platforms/libqeglfs.so", "/venv/site-packages/…", False),
        ("PySide6/plugins/platforms/qwindows.dll", "C:\\venv", True),
        ("PySide6/plugins/imageformats/qjpeg.dll", "C:\\venv", False),
        ("PySide6/Qt/lib/libQt6Core.so.6", "/venv/site-packages/…", True),
        ("PySide6/Qt/lib/libicudata.so.73", "/venv/site-packages/…", True),
        ("PySide6/Qt/lib/libQt6Quick.so.6", "/venv/site-packages/…", False),
        ("PySide6/Qt6Quick.dll", "C:\\venv", False),
        ("PySide6/Qt6Core.dll", "C:\\venv", True),
        ("PySide6/QtWidgets.abi3.so", "/venv/site-packages/…", True),
        ("PySide6/Qt/lib/QtQuick.framework/Versions/A/QtQuick", "/venv", False),
        ("PySide6/Qt/lib/QtGui.framework/Versions/A/QtGui", "/venv", True),
        ("PySide6/Qt/translations/qtbase_de.qm", "/venv/site-packages/…", False),
        ("libxcb-cursor.so.0", "/usr/lib/x86_64-linux-gnu/libxcb-cursor.so.0", True),
        ("libX11.so.6", "/lib/x86_64-linux-gnu/libX11.so.6", False),
        ("libgtk-3.so.0", "/lib/x86_64-linux-gnu/libgtk-3.so.0", False),
        ("python3.11/lib-dynload/math.so", "/usr/lib/python3.11/lib-dynload/math.so", True),
        ("libpython3.11.so.1.0", "/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0", True),
        ("base_library.zip", "/build/work/base_library.zip", True),
        ("psutil-7.2.2.dist-info/METADATA", "/venv/site-packages/…", True),
        ("psutil-7.2.2.dist-info/licenses/LICENSE.txt", "/venv/site-packages/…", True),
        ("psutil-7.2.2.dist-info/RECORD", "/venv/site-packages/…", False),
        ("source/bin/uv", "/usr/lib/uv/uv", True),
    ],
)
def test_only_what_is_used_travels(destination: str, source: str, goes: bool) -> None:
    assert built_files.travels(destination, source) is goes


def test_a_link_goes_with_what_it_leads_to() -> None:
    names = ("libQt6Core.so.6", "libQt6OpenGL.so.6")
    links = [(name, f"PySide6/Qt/lib/{name}", "SYMLINK") for name in names]
    files = [(place, f"/venv/site-packages/{place}", "BINARY") for _, place, _ in links]
    assert built_files.kept([*links, *files]) == [links[0], files[0]]


def test_the_versions_of_what_is_built_are_pinned() -> None:
    requirements = built_files.ROOT / "packaging" / "requirements"
    lines = "".join((requirements / f"{name}.txt").read_text() for name in ("base", "transitive")).split()
    pinned = {line.partition("==")[0].lower() for line in lines}
    assert {package.lower() for package in built_files.PACKAGES} <= pinned
    assert metainfo.version()


@pytest.mark.parametrize(("before", "after"), [(None, None), ("/opt/mine", "/opt/mine")])
def test_the_app_begins_with_what_it_and_what_it_starts_have_to_find(
    before: str | None, after: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app").mkdir()
    printing = """
import json, os, sys
def main():
    modules_from = sys.modules["pyimod02_importers"].pyz_archive._filename
    print(json.dumps({**os.environ, "modules from": modules_from}))
    return 0
"""
    (tmp_path / "app" / "__main__.py").write_text(printing)
    for name in ("LD_LIBRARY_PATH", "QT_PLUGIN_PATH", "_PYI_ARCHIVE_FILE"):
        monkeypatch.setenv(name, "/usr/lib/mezzotint/_internal")
    if before:
        monkeypatch.setenv("LD_LIBRARY_PATH_ORIG", before)
    start = built_files.ROOT / "packaging" / "start.py"
    told = json.loads(python(f"{LOADER}\nrunpy.run_path({str(start)!r})", path=tmp_path))
    assert told.get("LD_LIBRARY_PATH") == after
    assert not {"LD_LIBRARY_PATH_ORIG", "QT_PLUGIN_PATH", "_PYI_ARCHIVE_FILE"} & told.keys()
    assert told["modules from"] == ("/proc/self/exe" if sys.platform == "linux" else "mezzotint")
