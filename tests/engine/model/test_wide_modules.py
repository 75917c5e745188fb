"""bf16 weights on a processor that has no arithmetic for bf16."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from engine.checkpoints import catalogue
from engine.checkpoints.precision import Precision
from engine.model.diffusion_gemma import DiffusionGemma
from tests.engine.conftest import plan_for

STARTER = catalogue.STARTER.folder


def two_steps(model: DiffusionGemma) -> Tensor:
    """Logits of a canvas behind a prompt, the second time with self-conditioning."""
    generator = torch.Generator().manual_seed(0)
    prompt = torch.randint(4, 4000, (90,), generator=generator).tolist()
    canvas = torch.randint(4, 4000, (1, model.canvas_tokens), generator=generator)
    with torch.inference_mode():
        cache = model.new_cache()
        model.prefill(cache, prompt)
        canvases = model.open_canvases([cache])
        logits = model.denoise(canvases, canvas, None)
        rows = torch.arange(model.canvas_tokens)
        soft = model.soft_embedding(logits.argmax(dim=-1), rows, logits.softmax(dim=-1), rows)
        return model.denoise(canvases, canvas, soft).clone()


def test_weights_in_bf16_compute_what_the_same_weights_do_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    """The starter's weights are in bf16."""
    monkeypatch.setenv("MEZZOTINT_BF16", "0")
    wide, narrow = (DiffusionGemma(plan_for(STARTER, precision)) for precision in ("fp32", "bf16"))
    assert 2 * narrow.held_bytes() < 1.01 * wide.held_bytes()
    torch.testing.assert_close(two_steps(narrow), two_steps(wide), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bf16", ["0", "1"])
@pytest.mark.parametrize(("precision", "off"), [("int8", 0.02), ("int4", 0.05)])
def test_experts_for_processors_give_nearly_the_same_logits(
    precision: Precision, off: float, bf16: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEZZOTINT_BF16", bf16)
    true, packed = (two_steps(DiffusionGemma(plan_for(STARTER, each))) for each in ("fp32", precision))
    assert 0 < (packed - true).norm() < off * true.norm()


class _StopError(Exception):
    pass


@pytest.mark.parametrize("precision", ["bf16", "int4"])
def test_a_pass_can_be_broken_off_between_two_experts(
    precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEZZOTINT_BF16", "0")
    model = DiffusionGemma(plan_for(STARTER, precision))
    expected, calls = two_steps(model), list[None]()

    def count() -> None:
        calls.append(None)

    def stop() -> None:
        calls.pop()
        if not calls:
            raise _StopError

    with model.cancelled_by(count):
        two_steps(model)
    text: Any = model.text_model.config.text_config
    assert len(calls) > 3 * text.num_hidden_layers * (1 + text.num_experts // 2)
    del calls[len(calls) // 2 :]
    with pytest.raises(_StopError), model.cancelled_by(stop):
        two_steps(model)
    assert torch.equal(two_steps(model), expected)
