"""What Mezzotint needs from the operating system: libraries, a font, Python's own parts."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

# What Qt's libraries and platform plugins load from the system, and the Debian package that has it.
QT_LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libX11.so.6": "libx11-6",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgssapi_krb5.so.2": "libgssapi-krb5-2",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libz.so.1": "zlib1g",
}
WAYLAND_LIBRARIES = {
    "libwayland-client.so.0": "libwayland-client0",
    "libwayland-cursor.so.0": "libwayland-cursor0",
    "libwayland-egl.so.1": "libwayland-egl1",
}
X11_LIBRARIES = {
    "libX11-xcb.so.1": "libx11-xcb1",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxcb.so.1": "libxcb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}


class SetUpError(Exception):
    """The set-up cannot go on; the text says why and what to do."""


def has_display() -> bool:
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def missing_for_qt() -> dict[str, str]:
    """What is missing → the Debian package that has it."""
    if not sys.platform.startswith("linux"):
        return {}
    libraries = dict(QT_LIBRARIES)
    if os.environ.get("WAYLAND_DISPLAY"):
        libraries.update(WAYLAND_LIBRARIES)
    elif os.environ.get("DISPLAY"):
        libraries.update(X11_LIBRARIES)
    missing = {library: package for library, package in libraries.items() if not can_load(library)}
    if not has_font():
        missing["a font"] = "fonts-dejavu-core"
    return missing


def missing_for_kernels() -> dict[str, str]:
    """What Triton compiles a card's kernels with → the Debian package. Without it drafts come slower."""
    if not sys.platform.startswith("linux"):
        return {}
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    missing = {} if compiler else {"a C compiler": "gcc libc6-dev"}
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").is_file():
        missing["Python's headers"] = f"python{sys.version_info[0]}.{sys.version_info[1]}-dev"
    return missing


def can_load(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def has_font() -> bool:
    if shutil.which("fc-list"):
        return bool(subprocess.run(["fc-list"], capture_output=True).stdout.strip())
    folders = [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".local/share/fonts"]
    return any(file.suffix in (".ttf", ".otf", ".ttc") for folder in folders for file in folder.rglob("*"))


def install_system_packages(missing: dict[str, str]) -> None:
    """missing: what → its Debian package. Installs as root on Debian and Ubuntu, else raises SetUpError."""
    names = ", ".join(missing)
    packages = sorted(set(missing.values()))
    if not shutil.which("apt-get"):
        raise SetUpError(f"Mezzotint needs these from your system: {names}.\n" + elsewhere(missing))
    if os.geteuid() != 0:
        line = f"sudo apt-get update && sudo apt-get install -y --no-install-recommends {' '.join(packages)}"
        raise SetUpError(
            f"Mezzotint needs these from your system: {names}.\nRun this line, then try again:\n\n  {line}"
        )
    say(f"Installing from the system's packages: {' '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
        if subprocess.call(["apt-get", *command], env=environment, stdout=subprocess.DEVNULL) != 0:
            raise SetUpError(f"apt-get could not install {' '.join(packages)} (see above).")


def elsewhere(missing: dict[str, str]) -> str:
    """The line for systems without apt-get: dnf and zypper find a package by the library in it."""
    libraries = [name for name in missing if name.startswith("lib")]
    for tool in ("dnf", "zypper"):
        if shutil.which(tool):
            wanted = [f"'{library}()(64bit)'" for library in libraries]
            wanted += ["dejavu-sans-fonts"] if "a font" in missing else []
            return f"Run this line, then try again:\n\n  sudo {tool} install {' '.join(wanted)}"
    return "Install the packages that hold them, then try again."


def say(text: str) -> None:
    print(text, flush=True)
