"""The tokenizer is read beside the weights."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from engine.checkpoints import catalogue
from engine.model.diffusion_gemma import DiffusionGemma
from engine.protocol.errors import FaultError, weights_broken
from engine.text.tokenizer import Tokenizer
from tests.engine.conftest import plan_for

TOKENIZER = "engine.model.diffusion_gemma.Tokenizer"


class _CancelledError(Exception):
    pass


def test_the_weights_are_read_while_the_tokenizer_is(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights_begun = threading.Event()

    class Slow(Tokenizer):
        def __init__(self, folder: Path) -> None:
            assert weights_begun.wait(60)
            super().__init__(folder)

    monkeypatch.setattr(TOKENIZER, Slow)
    model = DiffusionGemma(plan_for(tiny_folder), lambda _: weights_begun.set())
    assert model.tokenizer.encode("A") == Tokenizer(tiny_folder).encode("A")


def test_a_fault_of_the_tokenizer_ends_the_reading_of_the_weights(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, shares = threading.Event(), list[float]()

    class Broken(Tokenizer):
        def __init__(self, folder: Path) -> None:
            assert begun.wait(60)
            raise weights_broken(f"No tokenizer in {folder}.")

    def on_progress(share: float) -> None:
        shares.append(share)
        begun.set()

    monkeypatch.setattr(TOKENIZER, Broken)
    with pytest.raises(FaultError, match="No tokenizer"):
        DiffusionGemma(plan_for(tiny_folder), on_progress)
    assert shares


def test_a_fault_of_the_tokenizer_leaves_the_packed_copy(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_for(tiny_folder, "int8", packed_models=tmp_path / "packed")
    DiffusionGemma(plan)
    (copy,) = (tmp_path / "packed").iterdir()
    kept = {path: path.stat().st_mtime_ns for path in copy.iterdir()}

    class Broken(Tokenizer):
        def __init__(self, folder: Path) -> None:
            raise weights_broken(f"No tokenizer in {folder}.")

    def wait_for_it(_: float) -> None:
        for thread in threading.enumerate():
            if thread.name.startswith("tokenizer"):
                thread.join()

    monkeypatch.setattr(TOKENIZER, Broken)
    with pytest.raises(FaultError, match="No tokenizer"):
        DiffusionGemma(plan, wait_for_it)
    assert {path: path.stat().st_mtime_ns for path in copy.iterdir()} == kept


def test_a_load_that_is_cancelled_does_not_wait_for_the_tokenizer(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()

    class Slow(Tokenizer):
        def __init__(self, folder: Path) -> None:  # noqa: ARG002
            ended.wait(60)
            raise _CancelledError

    def cancel(_: float) -> None:
        raise _CancelledError

    monkeypatch.setattr(TOKENIZER, Slow)
    try:
        with pytest.raises(_CancelledError):
            DiffusionGemma(plan_for(tiny_folder), cancel)
        assert any(thread.name.startswith("tokenizer") for thread in threading.enumerate())
    finally:
        ended.set()


def test_a_load_is_cancelled_between_two_experts_that_are_packed() -> None:
    plan, shares = plan_for(catalogue.STARTER.folder, "int8"), list[float]()
    model = DiffusionGemma(plan, shares.append)
    text = model.text_model.config.text_config
    assert len(shares) - len(set(shares)) >= text.num_hidden_layers * (text.num_experts - 1)
    assert shares == sorted(shares)
    twice = next(n for n, share in enumerate(shares) if shares.count(share) == text.num_experts + 1)
    told: list[float] = []

    def cancel(share: float) -> None:
        told.append(share)
        if len(told) == twice + 3:
            raise _CancelledError

    with pytest.raises(_CancelledError):
        DiffusionGemma(plan, cancel)
    assert told == shares[: twice + 3]
