"""Lock what the built app's engine is made of: `lock.py [NAME …]` writes resources/engine/pylock.NAME.toml.

One lock for each build of PyTorch on each system, by PEP 751: for each package one wheel, with its address,
size and hash. Needs `uv`, PyPI and, for the builds that PyPI does not have, PyTorch's index; what cannot be
reached is said and keeps its old lock. --find-links DIR takes wheels of that index from a folder: the hashes
are those of the files there, their addresses the index's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from urllib.request import Request, urlopen

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, it finds its own folder only

from engine.hardware.backend import TORCH_INDEX

REQUIREMENTS = Path(__file__).resolve().parent / "requirements"
LOCKS = Path(__file__).resolve().parents[1] / "resources" / "engine"
PYTHON = "3.11"  # of the engine in the built app: what the tests here run with
PLATFORMS = {
    "linux-x86_64": "x86_64-manylinux_2_28",
    "linux-aarch64": "aarch64-manylinux_2_28",
    "windows-x86_64": "x86_64-pc-windows-msvc",
    "macos-arm64": "aarch64-apple-darwin",
}
BUILDS = {
    "linux-x86_64": ("cpu", "cuda", "cuda126", "rocm"),
    "linux-aarch64": ("cpu", "cuda"),
    "windows-x86_64": ("cpu", "cuda", "cuda126"),
    "macos-arm64": ("mps",),
}
ON_PYPI = ("cuda-linux-x86_64", "cuda-linux-aarch64", "cpu-windows-x86_64", "mps-macos-arm64")
APP_ONLY = ("PySide6-Essentials", "qasync")  # the window's own


def main() -> int:
    names = [f"{backend}-{platform}" for platform, backends in BUILDS.items() for backend in backends]
    parser = argparse.ArgumentParser(description="Lock the packages of the built app's engine.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; all if none")
    parser.add_argument("--find-links", type=Path, help="a folder with wheels of PyTorch's index")
    options = parser.parse_args()
    failed = []
    LOCKS.mkdir(exist_ok=True)
    (LOCKS / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements()))
    for name in options.names or names:
        try:
            packages = compile_lock(name, options.find_links)
        except (subprocess.CalledProcessError, OSError) as error:
            failed.append(name)
            print(f"{name}: not made. {getattr(error, 'stderr', '') or error}")
            continue
        (LOCKS / f"pylock.{name}.toml").write_text(lock_text(packages))
        size = sum(package["wheel"]["size"] for package in packages) / 1e6
        print(f"{name}: {len(packages)} packages, {size:,.0f} MB")
    print(f"Not made: {', '.join(failed) or 'none'}.")
    return int(bool(failed))


def requirements() -> list[str]:
    """All that the engine needs but torch, to the version."""
    base = (REQUIREMENTS / "base.txt").read_text().splitlines()
    return [line for line in base if line.partition("==")[0] not in APP_ONLY]


def compile_lock(name: str, find_links: Path | None) -> list[dict[str, Any]]:
    """→ the packages with a wheel each. Raises CalledProcessError and OSError."""
    backend, _, platform = name.partition("-")
    torch = (REQUIREMENTS / f"{backend}.txt").read_text().strip()
    if name not in ON_PYPI and backend == "cpu":
        torch += "+cpu"
    elif name in ON_PYPI:
        torch = torch.partition("+")[0]
    command = ["uv", "pip", "compile", "--no-config", "--quiet", "--format", "pylock.toml", "-"]
    command += ["--python-version", PYTHON, "--python-platform", PLATFORMS[platform]]
    command += ["--only-binary", ":all:", "--constraint", str(REQUIREMENTS / "transitive.txt")]
    if find_links and name not in ON_PYPI:
        command += ["--find-links", str(find_links)]
    elif name not in ON_PYPI:
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
        packages: list[dict[str, Any]] = tomllib.loads(file.read_text())["packages"]
    for package in packages:
        package["wheel"] = complete(package["wheels"][0], TORCH_INDEX.get(backend, ""))
    return packages


def complete(wheel: dict[str, Any], index: str) -> dict[str, Any]:
    """With its size, and the address that it has for everyone."""
    parts = urlsplit(wheel["url"])
    if parts.scheme == "file":
        file = Path(unquote(parts.path))
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        return {
            "url": f"{index}/{quote(file.name)}",
            "size": file.stat().st_size,
            "hashes": {"sha256": digest},
        }
    if "size" not in wheel:
        with urlopen(Request(wheel["url"], method="HEAD")) as answer:
            wheel["size"] = int(answer.headers["Content-Length"])
    return wheel


def lock_text(packages: list[dict[str, Any]]) -> str:
    lines = ["# Written by packaging/lock.py.", 'lock-version = "1.0"', 'created-by = "mezzotint"']
    lines.append(f'requires-python = "=={PYTHON}.*"')
    for package in packages:
        wheel = package["wheel"]
        lines += ["", "[[packages]]", *(f"{key} = {json.dumps(package[key])}" for key in ("name", "version"))]
        lines += ["[[packages.wheels]]", *(f"{key} = {json.dumps(wheel[key])}" for key in ("url", "size"))]
        lines.append(f"hashes = {{ sha256 = {json.dumps(wheel['hashes']['sha256'])} }}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
