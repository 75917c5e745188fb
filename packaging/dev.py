"""Sets up this checkout and runs it: `dev.py run [ARGS]`, `dev.py test [PYTEST ARGS]`, `dev.py shortcut`."""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, it finds its own folder only

from desktop_entry import desktop_entry, desktop_folder
from system import SetUpError, has_display, install_system_packages, missing_for_kernels, missing_for_qt, say

from engine.hardware.backend import BUILDS, TORCH_INDEX, BackendError, find_backend, is_cpu_build

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "packaging" / "requirements"
TRANSITIVE = REQUIREMENTS / "transitive.txt"  # what those need
ICON = ROOT / "resources" / "icons" / "mezzotint.svg"
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "mezzotint-requirements"
OLDEST_PYTHON, FIRST_UNTESTED_PYTHON = (3, 11), (3, 15)


def main() -> int:
    parser = argparse.ArgumentParser(description="Set up this checkout of Mezzotint and run it.")
    parser.add_argument("command", choices=["run", "test", "shortcut"])
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="for the app, or for pytest")
    options = parser.parse_args()
    try:
        check_python(sys.version_info[:2])
        return {"run": run, "test": test, "shortcut": shortcut}[options.command](options.arguments)
    except BackendError as error:
        print(
            f"\n{error}\nThen run this command again; MEZZOTINT_TORCH=cpu takes the processor.",
            file=sys.stderr,
        )
        return 1
    except SetUpError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


# ------------------------------------------------------------------ the three commands


def run(arguments: list[str]) -> int:
    if has_display():
        set_up(graphical=True)
        return become(["-m", "app", *arguments])
    parser = argparse.ArgumentParser(
        prog="dev.py run", description="Without a display: draft in the terminal."
    )
    parser.add_argument("file", nargs="?", type=Path, default=ROOT / "packaging" / "sample.txt")
    parser.add_argument("--model", default="starter")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--in-thread", action="store_true", help="(of no effect here)")
    options = parser.parse_args(arguments)
    set_up(graphical=False)
    say("There is no display, so no window can open. Drafting in the terminal instead;")
    say("on a desktop the same command opens the window.")
    say(f"The draft continues {options.file}:\n")
    if not arguments:
        say(options.file.read_text(encoding="utf-8"))
    draft = ["draft", "--before", str(options.file), "--model", options.model, "--device", options.device]
    return become(["-m", "engine", *draft])


IN_PARALLEL = ["-n", "logical", "--maxprocesses", "4", "--dist", "loadfile"]
"""A process takes up to 2 GB; the tests of a file share what they loaded."""


def test(arguments: list[str]) -> int:
    """All checks and tests, then those tests again that depend on the processor's bf16 arithmetic, as on a
    processor of the other kind; with arguments pytest runs once, with them.
    """
    set_up(graphical=True, tests=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["PYTHONUTF8"] = "1"
    if not os.access(ROOT, os.W_OK):
        environment["MYPY_CACHE_DIR"] = os.devnull
    tests = ["pytest", *(arguments or IN_PARALLEL)]
    tools = [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"], tests]
    passed = [passes(tool, environment) for tool in tools]
    if not arguments:
        environment["MEZZOTINT_BF16"] = other_world(environment)
        passed.append(passes(["pytest", "-m", "both_worlds"], environment))
    return int(not all(passed))


def passes(tool: list[str], environment: dict[str, str]) -> bool:
    world = environment.get("MEZZOTINT_BF16")
    say(f"\n$ {f'MEZZOTINT_BF16={world} ' if world else ''}{' '.join(tool)}")
    return subprocess.call([str(VENV_PYTHON), "-m", *tool], cwd=ROOT, env=environment) == 0


def other_world(environment: dict[str, str]) -> str:
    """MEZZOTINT_BF16 for a processor of the other kind than the one that tests run on in this environment."""
    code = "from engine.hardware.torch_devices import devices; print(int(not devices()[-1].bf16))"
    command = [str(VENV_PYTHON), "-c", code]
    return subprocess.check_output(command, cwd=ROOT, env=environment, text=True).strip()


def shortcut(arguments: list[str]) -> int:
    if arguments:
        raise SetUpError(f"shortcut takes no arguments, but got {arguments[0]}.")
    if not sys.platform.startswith("linux"):
        raise SetUpError("A shortcut can be made on Linux only. Here, open the window with: dev.py run")
    set_up(graphical=True)
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    launcher = data / "applications" / "mezzotint.desktop"
    launcher.parent.mkdir(parents=True, exist_ok=True)
    entry = desktop_entry([str(VENV_PYTHON), "-m", "app"], str(ICON), folder=ROOT)
    launcher.write_text(entry, encoding="utf-8")
    say(f"Mezzotint is in the applications menu now ({launcher}).")
    if shutil.which("update-desktop-database"):
        subprocess.call(["update-desktop-database", "-q", str(launcher.parent)])
    desktop = desktop_folder()
    if desktop:
        copy = desktop / launcher.name
        shutil.copyfile(launcher, copy)
        copy.chmod(0o755)
        if shutil.which("gio"):  # GNOME starts only what is marked as trusted
            subprocess.run(["gio", "set", str(copy), "metadata::trusted", "true"], capture_output=True)
        say(f"There is an icon on the desktop too ({copy}).")
    return 0


def become(arguments: list[str]) -> int:
    """Python of the environment, in the caller's folder, in place of this process where the system can."""
    command = [str(VENV_PYTHON), "-P", *arguments]
    os.environ["PYTHONPATH"] = str(ROOT)
    sys.stdout.flush()
    if os.name == "posix":
        os.execv(command[0], command)
    return subprocess.call(command)


# ------------------------------------------------------------------ set-up


def set_up(graphical: bool, tests: bool = False) -> None:
    """The system's libraries and `.venv`, as the requirement files have them; what tests need, if asked."""
    wanted = missing_for_qt() if graphical else {}
    if importlib.util.find_spec("ensurepip") is None:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        wanted["Python's ensurepip module"] = f"python{version}-venv"
    if wanted:
        install_system_packages(wanted)
    backend = find_backend()
    if not installed(backend, tests):
        install(backend, tests)
    if backend.startswith("cuda") and is_cpu_build(torch_version()):
        raise SetUpError(
            f"There is an NVIDIA card, but .venv holds a torch for the processor only ({torch_version()}).\n"
            f"Delete the folder {VENV} and run this command again: it then installs the build for the card."
        )
    if backend.startswith(("cuda", "rocm")) and (missing := missing_for_kernels()):
        say(f"Drafts would come faster with these from your system: {', '.join(missing)}.")
        say(f"On Debian and Ubuntu: sudo apt-get install -y {' '.join(missing.values())}")


def check_python(version: tuple[int, ...]) -> None:
    if not OLDEST_PYTHON <= version < FIRST_UNTESTED_PYTHON:
        raise SetUpError(
            f"This is Python {version[0]}.{version[1]}; Mezzotint needs 3.11 to 3.14.\n"
            "Install one of those and name it: python3.12 packaging/dev.py run"
        )


def requirement_files(backend: str, tests: bool) -> list[Path]:
    """Where torch computes on a card it brings Triton along; tests of kernels need it on a processor too."""
    tools = ["dev", "triton"] if backend == "cpu" else ["dev"]
    return [REQUIREMENTS / f"{name}.txt" for name in [backend, "base", *(tools if tests else [])]]


def fingerprint(backend: str, tests: bool) -> str:
    """Changes with the requirement files, the backend and the Python version."""
    digest = hashlib.sha256(f"{backend} {sys.version_info[:2]}".encode())
    for file in (*requirement_files(backend, tests), TRANSITIVE):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def installed(backend: str, tests: bool) -> bool:
    """An environment for tests will do for everything."""
    enough = {fingerprint(backend, True), fingerprint(backend, tests)}
    return VENV_PYTHON.exists() and STAMP.exists() and STAMP.read_text() in enough


def install(backend: str, tests: bool) -> None:
    what, download_gb, disk_gb = BUILDS[backend]
    say(f"Setting up {VENV}: PyTorch for {what}, Qt{' and the test tools' if tests else ''}.")
    say(f"Up to {download_gb} GB are downloaded; {disk_gb} GB of disk are needed.")
    if backend != "cpu":
        say("To take the build for the processor instead, stop now and set MEZZOTINT_TORCH=cpu.")
    if shutil.disk_usage(ROOT).free < disk_gb * 1e9:
        raise SetUpError(
            f"There is not that much free space where {ROOT} is. Make room and run this command again."
        )
    STAMP.unlink(missing_ok=True)
    if not runs(VENV_PYTHON) and subprocess.call([sys.executable, "-m", "venv", "--clear", str(VENV)]) != 0:
        raise SetUpError(f"Python could not make the environment {VENV} (see above).")
    command = [str(VENV_PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]
    if not sys.stdout.isatty():  # on a terminal pip shows how far the download is
        command += ["--quiet", "--quiet"]
    if backend in TORCH_INDEX and not pip_takes_cpu_build(backend):
        command += ["--extra-index-url", TORCH_INDEX[backend]]
    for file in requirement_files(backend, tests):
        command += ["--requirement", str(file)]
    command += ["--constraint", str(TRANSITIVE)]
    if subprocess.call(command) != 0:
        raise SetUpError(
            "pip could not install what Mezzotint needs (see above).\n"
            "Look at the network connection and the free disk space, then run this command again."
        )
    STAMP.write_text(fingerprint(backend, tests))


def runs(python: Path) -> bool:
    """Whether it is of this version and has pip: not so after a system upgrade or a broken set-up."""
    check = f"import pip, sys; sys.exit(sys.version_info[:2] != {tuple(sys.version_info[:2])})"
    return python.exists() and subprocess.run([str(python), "-c", check], capture_output=True).returncode == 0


def pip_takes_cpu_build(backend: str) -> bool:
    """Whether pip's own configuration already leads to a CPU build; on Linux PyPI's is for CUDA."""
    if backend != "cpu":
        return False
    command = [str(VENV_PYTHON), "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    command += ["--no-deps", "--report", "-", "--requirement", str(REQUIREMENTS / "cpu.txt")]
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode != 0:
        return False
    return is_cpu_build(json.loads(answer.stdout)["install"][0]["metadata"]["version"])


def torch_version() -> str:
    command = [str(VENV_PYTHON), "-c", "from importlib.metadata import version; print(version('torch'))"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
