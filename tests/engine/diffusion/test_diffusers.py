"""A second oracle: Diffusers' pipeline for the same model, and its scheduler.

Where it goes another way than transformers, and ours goes transformers' way: it commits the working canvas
instead of the draft when the steps run out; it always asks for at least one stable step; it knows one end id.
In bf16 it carries the logits over in fp32, as ours carries the probabilities, where transformers rounds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from engine.diffusion import sampling
from engine.diffusion.constraints import CanvasConstraints
from engine.diffusion.denoising import denoise_canvases
from engine.model.diffusion_gemma import DiffusionGemma
from engine.model.sampler_config import SamplerConfig
from tests.engine.diffusion.draws import Draws

pytest.importorskip("diffusers", reason="Diffusers is not installed: pip install mezzotint[dev]")

from diffusers.pipelines.diffusion_gemma.pipeline_diffusion_gemma import DiffusionGemmaPipeline
from diffusers.schedulers.scheduling_entropy_bound import EntropyBoundScheduler


class Processor:
    """Gives the pipeline its prompt as ids."""

    eos_token_id = None

    def __init__(self, ids: Sequence[Sequence[int]]) -> None:
        self._ids = ids

    def apply_chat_template(self, *_arguments: object, **_named: object) -> dict[str, Tensor]:
        return {"input_ids": torch.tensor(self._ids)}


def scheduler_of(sampler: SamplerConfig) -> Any:
    scheduler: Any = EntropyBoundScheduler
    scheduler = scheduler(entropy_bound=sampler.entropy_bound, t_max=sampler.t_max, t_min=sampler.t_min)
    scheduler.set_timesteps(sampler.max_steps)
    return scheduler


def assert_step(scheduler: Any, logits: Tensor, sampler: SamplerConfig, number: int) -> None:
    """logits: (batch, canvas, vocab)"""
    batch, size, vocab = logits.shape
    draws = Draws(range(batch), size, vocab)
    with draws.instead_of_torch():
        canvas = torch.randint(0, vocab, (batch, size))
        theirs = scheduler.step(model_output=logits, timestep=number - 1, sample=canvas)
    tau = sampling.temperature(
        sampler.t_min, sampler.t_max, sampler.max_steps - number + 1, sampler.max_steps
    )
    torch.testing.assert_close(theirs.pred_logits, logits / tau, rtol=1e-6, atol=0)
    prediction = sampling.predict(logits.flatten(0, 1).clone(), tau)
    torch.testing.assert_close(
        prediction.probabilities, theirs.pred_logits.softmax(-1).flatten(0, 1), rtol=1e-3, atol=1e-6
    )
    exact: Any = torch.distributions.Categorical(logits=theirs.pred_logits.double())
    entropy = prediction.entropy.view(batch, size)
    torch.testing.assert_close(entropy, exact.entropy().float(), rtol=1e-4, atol=1e-5)
    ours = sampling.accept(entropy, sampler.entropy_bound)
    for row in range(batch):
        differing = (ours[row] != theirs.accepted_index[row]).nonzero().squeeze(-1)
        ascending, order = exact.entropy()[row].sort()
        slack = (ascending.cumsum(0) - ascending - sampler.entropy_bound).abs()
        assert all(slack[order.tolist().index(position)] < 1e-4 for position in differing)


@given(
    st.integers(0, 2**32),
    st.sampled_from([(0.4, 0.8), (0.1, 2.0)]),
    st.floats(0.01, 3.0),
    st.integers(1, 5),
)
def test_a_step_is_the_schedulers(
    seed: int, temperatures: tuple[float, float], bound: float, number: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    sharpness = torch.rand(2, 12, 1, generator=generator) * 9
    logits = torch.randn(2, 12, 40, generator=generator) * sharpness
    sampler = SamplerConfig(5, *temperatures, bound, 1, 0.005)
    assert_step(scheduler_of(sampler), logits, sampler, number)


def test_a_step_over_gemmas_vocabulary_is_the_schedulers() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 262_144, generator=generator)
    likely = torch.randint(262_144, (2, 4, 2), generator=generator)
    logits.scatter_(-1, likely, 14 + torch.randn(2, 4, 2, generator=generator))
    sampler = SamplerConfig(48, 0.4, 0.8, 0.1, 1, 0.005)
    with patch.object(sampling, "CACHE_BYTES", 3 * logits[0, 0].nbytes):
        assert_step(scheduler_of(sampler), logits, sampler, 20)


def pipeline_of(library: Any, sampler: SamplerConfig, prompts: Sequence[Sequence[int]]) -> Any:
    processor = Processor(prompts)
    pipeline: Any = DiffusionGemmaPipeline(library, scheduler_of(sampler), processor)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def prompt_ids(model: DiffusionGemma, count: int, seed: int = 0) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    ids: list[int] = torch.randint(4, model.vocab_size, (count,), generator=generator).tolist()
    return ids


@pytest.mark.parametrize(
    "sampler", [SamplerConfig(24, 0.05, 0.2, 3.0, 1, 0.15), SamplerConfig(24, 0.05, 0.2, 0.4, 2, 0.1)]
)
@pytest.mark.parametrize("length", [9, 60])
def test_a_run_is_the_pipelines(
    tiny: DiffusionGemma, tiny_library: Any, sampler: SamplerConfig, length: int
) -> None:
    """Two drafts after the same prompt, with draws made equal: steps, working canvases and drafts."""
    prompt, seeds = prompt_ids(tiny, length), [21, 22]
    cache = tiny.new_cache()
    tiny.prefill(cache, prompt)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    canvases = tiny.open_canvases([cache] * 2)
    shown = []
    with patch.object(tiny, "denoise", wraps=tiny.denoise) as denoise:
        for step in denoise_canvases(
            tiny, canvases, sampler, generators, [CanvasConstraints()] * len(generators)
        ):
            shown.append(step)
    seen = [call.args[1] for call in denoise.call_args_list]

    theirs: list[Tensor] = []

    def remember(
        _pipeline: object, _number: int, _step: int, tensors: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        theirs.append(tensors["canvas"])
        return {}

    draws = Draws(seeds, 16, 99)
    with draws.instead_of_torch():
        output = pipeline_of(tiny_library, sampler, [prompt] * 2)(
            prompt=["", ""],
            gen_length=16,
            num_inference_steps=sampler.max_steps,
            stability_threshold=sampler.stability_threshold,
            confidence_threshold=sampler.confidence_threshold,
            output_type="seq",
            callback_on_step_end=remember,
        )
    ends = {step.canvas: step for step in shown if step.last}
    assert len({step.number for step in ends.values()}) == 2, "both drafts end at the same step"
    assert max(step.number for step in ends.values()) == draws.steps < sampler.max_steps
    first = min(step.number for step in ends.values())
    for ours, after in zip(seen[1:first], theirs, strict=False):
        assert torch.equal(ours, after)
    for canvas, step in ends.items():
        assert torch.equal(step.draft, output.sequences[canvas])


def test_steps_along_a_canvas_of_the_bundled_model_are_the_schedulers(starter: DiffusionGemma) -> None:
    """Logits as a trained model says them."""
    cache = starter.new_cache()
    starter.prefill(cache, [2, *starter.tokenizer.encode("Dear Anna,\n\nThank you for your letter.")])
    sampler = SamplerConfig(5, 0.3, 0.5, 0.3, 1, 0.02)
    scheduler = scheduler_of(sampler)
    denoise, numbers = starter.denoise, iter(range(1, 6))

    def watched(*arguments: Any) -> Tensor:
        logits = denoise(*arguments)
        assert_step(scheduler, logits.view(1, 256, -1).clone(), sampler, next(numbers))
        return logits

    with patch.object(starter, "denoise", watched):
        canvases = starter.open_canvases([cache])
        list(
            denoise_canvases(
                starter, canvases, sampler, [torch.Generator().manual_seed(7)], [CanvasConstraints()]
            )
        )
    assert next(numbers, None) is None
