"""Which build of PyTorch a machine gets."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from engine.hardware import backend


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux without a graphics card."""
    monkeypatch.delenv("MEZZOTINT_TORCH", raising=False)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(backend, "ask_nvidia_smi", lambda: "")
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))
    monkeypatch.setattr(Path, "exists", lambda _: False)


@pytest.mark.usefixtures("bare_machine")
def test_without_a_card_the_backend_is_the_processor() -> None:
    assert backend.find_backend() == "cpu"


@pytest.mark.usefixtures("bare_machine")
@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ("580.65.06, 8.9", "cuda"),
        ("591.44, 12.0", "cuda"),
        ("570.133.20, 8.9", "cuda126"),
        ("580.65.06, 6.1", "cuda126"),
        ("580.65.06, 8.9\n580.65.06, 6.1", "cuda126"),
        ("580.65.06, 12.0\n580.65.06, 6.1", "cuda"),
        ("580.65.06, 10.0", "cuda"),
        ("570.133.20, 9.0", "cuda126"),
        ("[N/A], [N/A]", "cuda"),
    ],
)
def test_the_driver_and_the_card_choose_the_cuda_build(
    row: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "ask_nvidia_smi", lambda: row)
    assert backend.find_backend() == wanted


@pytest.mark.usefixtures("bare_machine")
@pytest.mark.parametrize("rows", ["572.83, 12.0", "570.133.20, 6.1\n570.133.20, 10.0"])
def test_a_card_that_is_newer_than_its_driver_needs_another_driver(
    rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "ask_nvidia_smi", lambda: rows)
    with pytest.raises(backend.BackendError, match=r"version 57\d\. .*driver to 580 or newer"):
        backend.find_backend()
    monkeypatch.setenv("MEZZOTINT_TORCH", "cpu")
    assert backend.find_backend() == "cpu"


@pytest.mark.usefixtures("bare_machine")
def test_a_card_is_found_without_nvidia_smi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "glob", lambda self, _: iter([self / "0000:01:00.0"]))
    assert backend.find_backend() == "cuda"


@pytest.mark.usefixtures("bare_machine")
def test_an_amd_card_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda self: self == Path("/dev/kfd"))
    assert backend.find_backend() == "rocm"


@pytest.mark.usefixtures("bare_machine")
def test_a_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert backend.find_backend() == "mps"
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    with pytest.raises(backend.BackendError, match="Intel"):
        backend.find_backend()


@pytest.mark.usefixtures("bare_machine")
def test_the_user_may_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "ask_nvidia_smi", lambda: "580.65.06, 8.9")
    monkeypatch.setenv("MEZZOTINT_TORCH", "cpu")
    assert backend.find_backend() == "cpu"
    monkeypatch.setenv("MEZZOTINT_TORCH", "gpu")
    with pytest.raises(backend.BackendError, match=r"MEZZOTINT_TORCH is gpu.*cuda"):
        backend.find_backend()


@pytest.mark.parametrize(
    ("version", "on_linux", "on_windows"),
    [("2.13.0+cpu", True, True), ("2.13.0", False, True), ("2.13.0+cu130", False, False)],
)
def test_a_cpu_build_is_known_by_its_version(
    version: str, on_linux: bool, on_windows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert backend.is_cpu_build(version) is on_linux
    monkeypatch.setattr(sys, "platform", "win32")
    assert backend.is_cpu_build(version) is on_windows
