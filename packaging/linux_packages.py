"""Packages for Linux: a .deb, an archive to unpack anywhere, an AppImage."""

from __future__ import annotations

import gzip
import os
import platform
import re
import shutil
import subprocess
import textwrap
from collections.abc import Iterable
from email.utils import formatdate
from pathlib import Path

from desktop_entry import SUMMARY, desktop_entry
from icons import SIZES
from metainfo import DESCRIPTION, ID, ROOT, changes, homepage, metainfo, version
from system import QT_LIBRARIES, WAYLAND_LIBRARIES, X11_LIBRARIES, SetUpError

DEBIAN_PACKAGES = {**QT_LIBRARIES, **WAYLAND_LIBRARIES, **X11_LIBRARIES}
OF_THE_COMPILER = re.compile(r"(ld-linux.*|lib(c|m|dl|rt|pthread|util|resolv|gcc_s|stdc\+\+))\.so[.\d]*")
OPTIONAL_PLUGINS = {"libqgtk3.so"}
"""They are left out by Qt where their libraries are missing."""
FOR_DOWNLOADS = ("ca-certificates", "libssl3t64 | libssl3")
"""Qt loads OpenSSL when it is first needed."""
APACHE = "Apache-2.0 (/usr/share/common-licenses/Apache-2.0)."
APACHE_TERMS = re.compile(r" *Apache License\n.*?END OF TERMS AND CONDITIONS", re.DOTALL)
APP_IMAGE = b"AI\x02"
"""In the ELF header of an AppImage of type 2."""
MAINTAINER = "The Mezzotint project <mezzotint@localhost>"


def install_tree(built: Path, icons: Path, root: Path, epoch: int) -> None:
    """The app and what the desktop needs to know of it, below root as below `/`."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(built, root / "usr/lib/mezzotint", symlinks=True)
    (root / "usr/bin").mkdir()
    (root / "usr/bin/mezzotint").symlink_to("../lib/mezzotint/mezzotint")
    write(root / "usr/share/applications/mezzotint.desktop", desktop_entry(["mezzotint"], "mezzotint"))
    write(root / f"usr/share/metainfo/{ID}.metainfo.xml", metainfo(epoch))
    theme = root / "usr/share/icons/hicolor"
    for size in SIZES:
        copy(icons / f"{size}.png", theme / f"{size}x{size}/apps/mezzotint.png")
    copy(ROOT / "resources/icons/mezzotint.svg", theme / "scalable/apps/mezzotint.svg")


def deb(built: Path, icons: Path, made: Path, file: Path, epoch: int) -> None:
    root = made / "deb"
    install_tree(built, icons, root, epoch)
    documentation = root / "usr/share/doc/mezzotint"
    write(documentation / "copyright", copyright_file(built))
    (documentation / "changelog.gz").write_bytes(gzip.compress(changelog(epoch).encode(), 9, mtime=0))
    copy(ROOT / "packaging/recipes/lintian-overrides", root / "usr/share/lintian/overrides/mezzotint")
    make_even(root, epoch)
    files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    fields = {
        "Package": "mezzotint",
        "Version": version(),
        "Architecture": architecture(),
        "Maintainer": MAINTAINER,
        "Installed-Size": str(sum(-(-path.stat().st_size // 1024) for path in files)),
        "Depends": ", ".join([*depends(built), *FOR_DOWNLOADS]),
        "Section": "editors",
        "Priority": "optional",
        "Homepage": homepage(),
        "Description": f"{SUMMARY}\n" + "\n .\n".join(map(indented, DESCRIPTION)),
    }
    control = "".join(f"{name}: {value}\n" for name, value in fields.items() if value)
    write(root / "DEBIAN/control", control)
    make_even(root, epoch)
    run(["dpkg-deb", "--root-owner-group", "--build", str(root), str(file)], epoch)


def archive(built: Path, icons: Path, made: Path, file: Path, epoch: int) -> None:
    """The AppDir, packed: it runs by its AppRun wherever it is unpacked."""
    folder = app_dir(built, icons, made, epoch)
    even = ["--sort=name", f"--mtime=@{epoch}", "--owner=0", "--group=0", "--numeric-owner"]
    command = ["tar", "-C", str(folder.parent), *even, "-cJf", str(file), folder.name]
    run(command, epoch, XZ_OPT="-6 -T2")


def app_image(built: Path, icons: Path, made: Path, file: Path, epoch: int, runtime: Path) -> None:
    """runtime: the program that an AppImage begins with, from github.com/AppImage/type2-runtime."""
    program = runtime.read_bytes()
    if not is_runtime(program, made / "runtime"):
        raise SetUpError(
            f"{runtime} is no runtime of an AppImage. Take the one for {platform.machine()} from"
            " github.com/AppImage/type2-runtime/releases."
        )
    folder = app_dir(built, icons, made, epoch)
    contents = made / "contents.squashfs"
    command = ["mksquashfs", str(folder), str(contents), "-noappend", "-all-root", "-no-xattrs", "-quiet"]
    run([*command, "-comp", "zstd", "-Xcompression-level", "19"], epoch)
    file.write_bytes(program + contents.read_bytes())
    file.chmod(0o755)


def is_runtime(program: bytes, place: Path) -> bool:
    """And that alone: in a whole AppImage it would find what is there, in place of what comes behind it."""
    if not program.startswith(b"\x7fELF") or program[8:11] != APP_IMAGE:
        return False
    place.write_bytes(program)
    place.chmod(0o755)
    try:
        told = subprocess.run([place, "--appimage-offset"], capture_output=True, text=True).stdout
    except OSError:  # of another kind of processor
        return False
    return told.strip() == str(len(program))


def app_dir(built: Path, icons: Path, made: Path, epoch: int) -> Path:
    folder = made / f"mezzotint-{version()}"
    install_tree(built, icons, folder, epoch)
    (folder / "AppRun").symlink_to("usr/lib/mezzotint/mezzotint")
    copy(folder / "usr/share/applications/mezzotint.desktop", folder / "mezzotint.desktop")
    copy(icons / "256.png", folder / "mezzotint.png")
    (folder / ".DirIcon").symlink_to("mezzotint.png")
    make_even(folder, epoch)
    return folder


# ------------------------------------------------------------------ what the .deb says


def depends(built: Path) -> list[str]:
    """The Debian packages of the libraries that are needed and not carried."""
    libraries = [path for path in built.rglob("*") if path.is_file() and path.name not in OPTIONAL_PLUGINS]
    carried = {path.name for path in libraries}
    needed = set(needed_by([path for path in libraries if is_elf(path)])) - carried
    unknown = {name for name in needed - DEBIAN_PACKAGES.keys() if not OF_THE_COMPILER.fullmatch(name)}
    if unknown:
        names = ", ".join(sorted(unknown))
        raise SetUpError(f"packaging/system.py does not tell which Debian packages have {names}. Add them.")
    packages = {DEBIAN_PACKAGES[name] for name in needed & DEBIAN_PACKAGES.keys()}
    return sorted({*packages, f"libc6 (>= {newest_glibc(libraries)})", "libgcc-s1", "libstdc++6"})


def is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def needed_by(libraries: Iterable[Path]) -> list[str]:
    told = subprocess.run(["objdump", "-p", *map(str, libraries)], capture_output=True, text=True, check=True)
    return re.findall(r"^  NEEDED +(\S+)$", told.stdout, re.MULTILINE)


def newest_glibc(files: Iterable[Path]) -> str:
    libraries = [str(path) for path in files if is_elf(path)]
    told = subprocess.run(["objdump", "-p", *libraries], capture_output=True, text=True, check=True).stdout
    versions = {tuple(map(int, found.split("."))) for found in re.findall(r"\bGLIBC_([\d.]+)", told)}
    return ".".join(map(str, max(versions)))


def architecture() -> str:
    told = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True)
    return told.stdout.strip()


def indented(paragraph: str) -> str:
    return textwrap.fill(paragraph, 78, initial_indent=" ", subsequent_indent=" ")


def changelog(epoch: int) -> str:
    """CHANGELOG.md as Debian writes it."""
    wrapper = textwrap.TextWrapper(78, initial_indent="  * ", subsequent_indent="    ")
    items = "".join(f"{wrapper.fill(change)}\n" for change in changes())
    return f"mezzotint ({version()}) stable; urgency=low\n\n{items}\n -- {MAINTAINER}  {formatdate(epoch)}\n"


def copyright_file(built: Path) -> str:
    """Which licences hold for what is in the package, and where their texts lie."""
    told = [f"Mezzotint: {APACHE}"]
    told.append("Qt 6 and PySide6: LGPL-3.0-only (/usr/share/common-licenses/LGPL-3); dynamically linked.")
    told.append("Inter and Vollkorn, the typefaces: OFL-1.1 (beside them, in resources/fonts).")
    told.append("Python: Python-2.0. Parts of other packages, each with its own licence:")
    for folder in sorted(built.glob("_internal/*.dist-info")):
        told.append(f"\n----- {folder.name.removesuffix('.dist-info').replace('-', ' ')}\n")
        files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "METADATA"]
        texts = [path.read_text(encoding="utf-8") for path in files] or ["As its METADATA says."]
        told += [APACHE_TERMS.sub(APACHE, text) for text in texts]
    return "\n".join(told) + "\n"


# ------------------------------------------------------------------ files


def run(command: list[str], epoch: int, **variables: str) -> None:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch), **variables}
    subprocess.run(command, check=True, env=environment)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def make_even(root: Path, epoch: int) -> None:
    """The same times and modes, whoever builds it and when."""
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            runs = path.is_dir() or (is_elf(path) and ".so" not in path.name)
            path.chmod(0o755 if runs else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)
