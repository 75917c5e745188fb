"""Our step against the library's, on a tiny random model and on the bundled one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.models.diffusion_gemma.generation_diffusion_gemma import (
    EntropyBoundSampler,
    EntropyBoundSamplerConfig,
    StableAndConfidentStoppingCriteria,
)

from engine import sampling
from engine.denoise import Sampler, denoise_canvas
from engine.model import Model, fork


@pytest.fixture(params=["tiny", "starter"])
def model(request: pytest.FixtureRequest) -> Model:
    chosen: Model = request.getfixturevalue(request.param)
    return chosen


def prompt_ids(model: Model, count: int = 40) -> list[int]:
    generator = torch.Generator().manual_seed(3)
    ids: list[int] = torch.randint(4, model.vocab_size, (count,), generator=generator).tolist()
    return [2, *ids]


def test_a_prefill_in_chunks_is_the_librarys_in_one_piece(model: Model) -> None:
    """Longer than the tiny model's sliding window."""
    ids = prompt_ids(model)
    ours: Any = model.new_cache()
    theirs: Any = model.new_cache()
    for start in range(0, len(ids), 7):
        model.prefill(ours, ids[start : start + 7])
    model.text_model.model.encoder(
        input_ids=torch.tensor([ids]), attention_mask=None, past_key_values=theirs, position_ids=None
    )
    assert ours.get_seq_length() == theirs.get_seq_length() == len(ids)
    for mine, other in zip(ours.layers, theirs.layers, strict=True):
        torch.testing.assert_close(mine.keys, other.keys, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(mine.values, other.values, atol=1e-4, rtol=1e-4)


def test_logits_accepted_set_and_stop_decision_along_a_canvas(model: Model) -> None:
    """Every step of a canvas is repeated by the library, fed what ours was fed."""
    steps, bound, confidence = 6, 0.3, 0.5
    library = model.text_model
    cache: Any = model.new_cache()
    model.prefill(cache, prompt_ids(model))
    before = [layer.keys.clone() for layer in cache.layers]
    size = model.canvas_tokens
    stopping: Any = StableAndConfidentStoppingCriteria(1, confidence)
    generator = torch.Generator().manual_seed(1)
    canvas = torch.randint(model.vocab_size, (size,), generator=generator)
    soft, scores = None, None
    drafts: list[torch.Tensor] = []
    for step in range(steps):
        tau = sampling.temperature(0.4, 0.8, steps - step, steps)
        logits = model.denoise(cache, canvas, soft)
        theirs = library(
            decoder_input_ids=canvas[None], past_key_values=cache, self_conditioning_logits=scores
        ).logits
        torch.testing.assert_close(logits, theirs[0], atol=5e-4, rtol=1e-4)

        scores = theirs / tau
        prediction = sampling.predict(logits, tau)
        exact: Any = torch.distributions.Categorical(logits=scores)
        entropy = exact.entropy()
        torch.testing.assert_close(prediction.entropy, entropy[0], atol=2e-3, rtol=1e-3)
        assert torch.equal(prediction.draft, scores[0].argmax(-1))

        oracle: Any = EntropyBoundSampler(EntropyBoundSamplerConfig(bound), size, model.vocab_size, steps)
        ids = canvas[None]
        oracle.accept_canvas(ids, ids, scores, steps - step)
        assert torch.equal(sampling.accept(entropy[0], bound), oracle.accepted_token_mask[0])

        drafts.append(prediction.draft)
        decision = bool(stopping(prediction.draft[None], scores).item())
        assert sampling.settled(drafts, 1, entropy.mean().item(), confidence) == decision

        accepted = sampling.accept(prediction.entropy, bound)
        rows = accepted.nonzero().squeeze(-1)
        canvas = torch.randint(model.vocab_size, (size,), generator=generator)
        uniform = torch.rand(len(rows), generator=generator)
        canvas[rows] = sampling.sample(prediction.probabilities, rows, uniform)
        soft = model.soft_embedding(prediction)
    for layer, keys in zip(cache.layers, before, strict=True):
        assert torch.equal(layer.keys, keys), "a canvas must not write the cache"


def test_certain_rows_have_the_embedding_of_the_whole_product(model: Model) -> None:
    logits = torch.randn(model.canvas_tokens, model.vocab_size)
    logits[::2, 5] = 60.0
    prediction = sampling.predict(logits, 1.0)
    assert (prediction.entropy[::2] < 1e-5).all()
    embedding = model.text_model.model.decoder.embed_tokens
    whole = prediction.probabilities @ embedding.weight * embedding.embed_scale
    torch.testing.assert_close(model.soft_embedding(prediction), whole, atol=1e-4, rtol=1e-4)


def test_a_fork_grows_alone(model: Model) -> None:
    cache: Any = model.new_cache()
    model.prefill(cache, prompt_ids(model))
    kept = [layer.keys.clone() for layer in cache.layers]
    forked: Any = fork(cache)
    model.prefill(forked, [5, 6, 7])
    assert forked.get_seq_length() == cache.get_seq_length() + 3
    for layer, keys in zip(cache.layers, kept, strict=True):
        assert torch.equal(layer.keys, keys)


def test_bf16_logits_are_the_librarys(tiny_folder: Path) -> None:
    model = Model(tiny_folder, torch.device("cpu"), "bf16")
    cache: Any = model.new_cache()
    model.prefill(cache, prompt_ids(model))
    canvas = torch.arange(16) + 10
    theirs = model.text_model(decoder_input_ids=canvas[None], past_key_values=cache).logits[0]
    torch.testing.assert_close(model.denoise(cache, canvas, None), theirs, atol=0.1, rtol=0.02)


def test_shuffled_weights_write_garbage(starter: Model) -> None:
    """The same loop, but the layers' weights stand at other places: the model is never certain."""

    def mean_entropy() -> float:
        cache = starter.new_cache()
        starter.prefill(cache, [2, *starter.tokenizer.encode("Dear Anna,\n\nThank you for your letter.")])
        sampler = Sampler(8, 0.3, 0.5, 0.05, 1, 0.02, early_stop=False)
        steps = list(denoise_canvas(starter, cache, sampler, torch.Generator().manual_seed(7), {}))
        return float(steps[-1].entropy.mean())

    sound = mean_entropy()
    projections = [
        module.weight for name, module in starter.text_model.model.decoder.named_modules() if "_proj" in name
    ]
    generator = torch.Generator().manual_seed(0)
    saved = [weight.clone() for weight in projections]
    try:
        for weight in projections:
            shuffled = weight.flatten()[torch.randperm(weight.numel(), generator=generator)]
            weight.copy_(shuffled.view_as(weight))
        shaken = mean_entropy()
    finally:
        for weight, original in zip(projections, saved, strict=True):
            weight.copy_(original)
    assert math.isclose(mean_entropy(), sound)
    assert shaken > 2 * sound
