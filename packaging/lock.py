"""Lock what the built app's engine is made of: `lock.py [NAME …]` writes resources/engine/pylock.NAME.toml.

One lock for each build of PyTorch on each system, by PEP 751: for each package one wheel, with its address,
size and hash. Needs `uv`, PyPI and, for the builds that PyPI does not have, PyTorch's index; what cannot be
reached is said and keeps its old lock. --find-links DIR takes wheels of that index from a folder: the hashes
are those of the files there, their addresses the index's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit
from urllib.request import Request, urlopen

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, it finds its own folder only

from app.engine_setup.lock import LOCKS, PLATFORM_BUILDS, PYTHON, UNKNOWN_SIZE, Lock, Wheel, lock_from
from engine.hardware.backend import TORCH_INDEX

REQUIREMENTS = Path(__file__).resolve().parent / "requirements"
PLATFORMS = {
    "linux-x86_64": "x86_64-manylinux_2_28",
    "linux-aarch64": "aarch64-manylinux_2_28",
    "windows-x86_64": "x86_64-pc-windows-msvc",
    "macos-arm64": "aarch64-apple-darwin",
}
ON_PYPI = ("cuda-linux-x86_64", "cuda-linux-aarch64", "cpu-windows-x86_64", "mps-macos-arm64")
APP_ONLY = ("PySide6-Essentials", "qasync")  # the window's own


def main() -> int:
    names = [
        f"{backend}-{platform}" for platform, backends in PLATFORM_BUILDS.items() for backend in backends
    ]
    parser = argparse.ArgumentParser(description="Lock the packages of the built app's engine.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; all if none")
    parser.add_argument("--find-links", type=Path, help="a folder with wheels of PyTorch's index")
    options = parser.parse_args()
    failed = []
    LOCKS.mkdir(exist_ok=True)
    write_requirements()
    for name in options.names or names:
        try:
            lock = compile_lock(name, options.find_links)
        except (subprocess.CalledProcessError, OSError, ValueError) as error:
            failed.append(name)
            print(f"{name}: not made. {getattr(error, 'stderr', '') or error}")
            continue
        (LOCKS / f"pylock.{name}.toml").write_text(lock.text())
        print(f"{name}: {len(lock.wheels)} packages, {lock.total_bytes / 1e6:,.0f} MB")
    print(f"Not made: {', '.join(failed) or 'none'}.")
    return int(bool(failed))


def write_requirements() -> None:
    """What the app makes a lock from where it comes with none."""
    for backend in TORCH_INDEX:
        lines = "".join(f"{line}\n" for line in [*requirements(), torch_pin(backend)])
        (LOCKS / f"requirements.{backend}.txt").write_text(lines)
    shutil.copyfile(REQUIREMENTS / "transitive.txt", LOCKS / "constraints.txt")


def requirements() -> list[str]:
    """All that the engine needs but torch, to the version."""
    base = (REQUIREMENTS / "base.txt").read_text().splitlines()
    return [line for line in base if line.partition("==")[0] not in APP_ONLY]


def torch_pin(backend: str) -> str:
    """As PyTorch's index has it."""
    pin = (REQUIREMENTS / f"{backend}.txt").read_text().strip()
    return f"{pin}+cpu" if backend == "cpu" else pin


def compile_lock(name: str, find_links: Path | None) -> Lock:
    """Raises CalledProcessError, OSError, and ValueError for what is no lock."""
    backend, _, platform = name.partition("-")
    torch = torch_pin(backend)
    command = ["uv", "pip", "compile", "--no-config", "--quiet", "--format", "pylock.toml", "-"]
    command += ["--python-version", PYTHON, "--python-platform", PLATFORMS[platform]]
    command += ["--only-binary", ":all:", "--constraint", str(REQUIREMENTS / "transitive.txt")]
    if name in ON_PYPI:
        torch = torch.partition("+")[0]
    elif find_links:
        command += ["--find-links", str(find_links)]
    else:
        command += ["--index", TORCH_INDEX[backend], "--index-strategy", "unsafe-best-match"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "pylock.toml")
        answer = subprocess.run(
            [*command, "--output-file", str(file)],
            input="\n".join([*requirements(), torch]),
            capture_output=True,
            text=True,
            env={**os.environ, "MACOSX_DEPLOYMENT_TARGET": "14.0"},
        )
        answer.check_returncode()
        lock = lock_from(file.read_bytes(), PYTHON)
    wheels = tuple(complete(wheel, TORCH_INDEX.get(backend, "")) for wheel in lock.wheels)
    return replace(lock, wheels=wheels)


def complete(wheel: Wheel, index: str) -> Wheel:
    """With its size, and the address that it has for everyone. Raises OSError."""
    parts = urlsplit(wheel.url)
    if parts.scheme == "file":
        size = Path(unquote(parts.path)).stat().st_size
        return replace(wheel, url=f"{index}/{quote(wheel.file)}", size_bytes=size)
    if wheel.size_bytes == UNKNOWN_SIZE:
        with urlopen(Request(wheel.url, headers={"Range": "bytes=0-0"})) as answer:  # a HEAD may tell no size
            told = answer.headers["Content-Range"] or answer.headers["Content-Length"] or ""
        total = str(told).rpartition("/")[2]
        if not total.isdigit():
            raise OSError(f"{parts.hostname} does not tell how large {wheel.file} is.")
        return replace(wheel, size_bytes=int(total))
    return wheel


if __name__ == "__main__":
    sys.exit(main())
