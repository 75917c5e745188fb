"""What goes into the built app beside its own code, and what of Qt and of this system stays out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = "source"
"""Where the files lie that the engine's own Python reads; engine.installation.ROOT in the built app."""
Found = tuple[str, str, str]
"""Where a file would lie in the app's folder, where it lies on this system, and of what kind it is."""
CHILDREN = ("app.models.transfer.process",)
"""Modules of app/ that run in a process of their own, by the engine's Python."""
NOT_IMPORTED = (
    *("torch", "transformers", "huggingface_hub", "httpx2", "bitsandbytes", "numpy", "triton"),
    *("engine.runtime.local_engine", "app.models.transfer.hub_download"),
    *("ssl", "_ssl", "_hashlib", "_uuid", "tkinter", "unittest", "pydoc", "doctest", "pdb"),
    *("bz2", "_bz2", "lzma", "_lzma", "readline", "curses", "xml", "xmlrpc", "setuptools", "pkg_resources"),
)
"""The engine's, which its own Python has, and parts of Python's library that the app does without."""
PACKAGES = (
    *("PySide6-Essentials", "shiboken6", "msgspec", "nvidia-ml-py", "platformdirs", "psutil", "qasync"),
    *("regex", "safetensors"),
)
"""What app/ imports; base.txt and transitive.txt say which versions."""

QT_PLUGINS = {
    "platforms": ("qxcb", "qwayland", "qoffscreen", "qwindows", "qcocoa"),
    "platforminputcontexts": ("composeplatforminputcontextplugin", "ibusplatforminputcontextplugin"),
    "platformthemes": ("qgtk3", "qxdgdesktopportal"),
    "wayland-shell-integration": ("xdg-shell",),
    "wayland-decoration-client": ("adwaita", "bradient"),
    "iconengines": ("qsvgicon",),
    "imageformats": ("qsvg", "qwebp"),
    "styles": ("qmacstyle", "qmodernwindowsstyle"),
    "tls": ("qopensslbackend", "qschannelbackend", "qsecuretransportbackend"),
}
QT_LIBRARIES = ("Core", "DBus", "Gui", "Network", "Svg", "WaylandClient", "Widgets", "XcbQpa")
FROM_THIS_SYSTEM = re.compile(
    r"lib(ffi|sqlite3|xcb-[\w-]+|xkbcommon(-x11)?|zstd|brotli\w+|python3[.\d]*)\.so[.\d]*"
)
"""The libraries of the building system that travel; the others have to be the writer's own, as X11's are."""
_QT_LIBRARY = re.compile(r"/(?:lib)?Qt6?([A-Z]\w*)(?:\.framework/|\.so|\.dll|(?:\.abi3)?\.pyd)")
METADATA = re.compile(r"[\w.-]+\.dist-info/(METADATA|(licenses/)?(LICEN[CS]E|COPYING|NOTICE)[\w.]*)")
"""Of the packages in the app: what About tells. What else stands there depends on where it was installed."""


def source_files() -> list[Path]:
    """Relative to the checkout."""
    files = {*_imported_by_children(), Path("LICENSE")}
    for folder, pattern in (("engine", "*.py"), ("resources", "*")):
        files.update(file.relative_to(ROOT) for file in (ROOT / folder).rglob(pattern) if file.is_file())
    return sorted(file for file in files if not file.is_relative_to("resources/pictures"))


def _imported_by_children() -> Iterator[Path]:
    """The files of app/ that these modules import, at once or later, and the packages they lie in."""
    wanted, seen = list(CHILDREN), set[str]()
    while wanted:
        module = wanted.pop()
        if module in seen or not module.startswith("app"):
            continue
        seen.add(module)
        wanted.append(module.rpartition(".")[0])
        path = Path(*module.split("."))
        file = path.with_suffix(".py") if (ROOT / path).with_suffix(".py").is_file() else path / "__init__.py"
        if not (ROOT / file).is_file():
            continue  # a name in a module
        yield file
        for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                wanted += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                wanted += [alias.name for alias in node.names]


def kept(found: Iterable[Found]) -> list[Found]:
    """What goes into the app of what PyInstaller found; a link goes with the file that it leads to."""
    return [one for one in found if travels(one[1] if one[2] == "SYMLINK" else one[0], one[1])]


def travels(destination: str, source: str) -> bool:
    """Whether a file goes into the app that PyInstaller found.

    destination: in the app's folder. source: on this system.
    """
    path = Path(destination)
    if path.parts[0] == SOURCE:
        return True
    if path.parts[0].endswith(".dist-info"):
        return bool(METADATA.fullmatch(path.as_posix()))
    if "PySide6" not in path.parts:
        of_this_system = source.startswith(("/lib", "/usr/lib")) and "lib-dynload" not in source
        return not of_this_system or bool(FROM_THIS_SYSTEM.fullmatch(path.name))
    if "translations" in path.parts or path.suffix == ".pyi" or path.name == "opengl32sw.dll":
        return False
    stem = re.sub(r"^lib|\.(so|dll|dylib)[.\d]*$", "", path.name)
    if "plugins" in path.parts:
        return stem in QT_PLUGINS.get(path.parent.name, ())
    library = _QT_LIBRARY.search(path.as_posix())
    return library is None or library[1] in QT_LIBRARIES
