"""Our steps against the library's, on a tiny random model and on the bundled one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor
from transformers.models.diffusion_gemma.generation_diffusion_gemma import (
    EntropyBoundSampler,
    EntropyBoundSamplerConfig,
    StableAndConfidentStoppingCriteria,
)

from engine.checkpoints import catalogue
from engine.diffusion import sampling
from engine.diffusion.denoising import CERTAIN
from engine.diffusion.sampling import Prediction
from engine.model import diffusion_gemma, soft_embedding
from engine.model.diffusion_gemma import DiffusionGemma
from engine.model.kv_cache import fork_cache, roll_back_cache
from engine.model.sampler_config import SamplerConfig
from tests.engine.conftest import library, plan_for
from tests.engine.diffusion.conftest import TINY_LENGTHS, Pair, noise, prefilled, prompt_ids, run, seeded


@pytest.mark.parametrize("block", [7, 16, 128])
def test_a_prefill_in_blocks_is_the_librarys_in_one_piece(pair: Pair, block: int) -> None:
    """Longer than the tiny model's sliding window."""
    ids = prompt_ids(pair.ours, 70)
    ours: Any = pair.ours.new_cache()
    hidden = [pair.ours.prefill(ours, ids[start : start + block]) for start in range(0, len(ids), block)]
    theirs: Any = pair.new_cache()
    output = pair.theirs.model.encoder(input_ids=torch.tensor([ids]), past_key_values=theirs)
    torch.testing.assert_close(torch.cat(hidden, dim=1), output.last_hidden_state, atol=1e-4, rtol=1e-4)
    assert ours.get_seq_length() == theirs.get_seq_length() == len(ids)
    for mine, other in zip(ours.layers, theirs.layers, strict=True):
        shown = other.keys.shape[2]
        torch.testing.assert_close(mine.keys[:, :, -shown:], other.keys, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(mine.values[:, :, -shown:], other.values, atol=1e-4, rtol=1e-4)


def test_a_fork_grows_alone(model: DiffusionGemma) -> None:
    cache = prefilled(model, prompt_ids(model))
    kept = [(layer.keys.clone(), layer.values.clone()) for layer in cache.layers]
    forked: Any = fork_cache(cache)
    model.prefill(forked, [5, 6, 7])
    assert forked.get_seq_length() == cache.get_seq_length() + 3
    assert roll_back_cache(forked, 30)
    assert cache.get_seq_length() == 41
    for layer, (keys, values) in zip(cache.layers, kept, strict=True):
        assert torch.equal(layer.keys, keys)
        assert torch.equal(layer.values, values)


@pytest.mark.parametrize("count", [1, 14, 15, 16, 30, 40])
def test_a_cache_that_was_rolled_back_goes_on_like_one_that_never_was(
    tiny: DiffusionGemma, count: int
) -> None:
    ids = prompt_ids(tiny, 40)
    cache, other = tiny.new_cache(), tiny.new_cache()
    tiny.prefill(cache, ids)
    assert roll_back_cache(cache, count)
    tiny.prefill(other, ids[:count])
    for each in (cache, other):
        tiny.prefill(each, [5, 6, 7])
        assert each.get_seq_length() == count + 3
    canvases = [tiny.open_canvases([each]) for each in (cache, other)]
    one, two = (tiny.denoise(each, noise(tiny, 1), None) for each in canvases)
    torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-4)


def test_what_a_window_no_longer_reaches_is_not_rolled_back(tiny: DiffusionGemma) -> None:
    """With 8 tokens kept beyond it."""
    with patch.object(diffusion_gemma, "ROLL_BACK_TOKENS", 8):
        cache: Any = prefilled(tiny, prompt_ids(tiny, 60))
    before = [layer.keys for layer in cache.layers]
    assert not roll_back_cache(cache, 51)
    assert cache.get_seq_length() == 60
    assert all(layer.keys is keys for layer, keys in zip(cache.layers, before, strict=True))
    assert roll_back_cache(cache, 52)
    assert cache.get_seq_length() == 52
    assert [layer.keys.shape[2] for layer in cache.layers] == [15, 52]
    assert not roll_back_cache(cache, 51)


def test_every_step_of_a_batch_is_the_librarys(pair: Pair) -> None:
    """Canvases after prefixes of different lengths, each beside the library's alone, fed what ours was fed:
    logits, self-conditioning, entropies, accepted set and stop decision; then with fewer canvases.
    """
    ours, size = pair.ours, pair.ours.canvas_tokens
    steps, bound, confidence = 4, 0.3, 3.0
    prompts = [prompt_ids(ours, length, seed=length) for length in pair.lengths]
    caches = [prefilled(ours, ids) for ids in prompts]
    before = [[layer.keys.clone() for layer in cache.layers] for cache in caches]
    theirs = []
    for ids in prompts:
        theirs.append(pair.new_cache())
        pair.theirs.model.encoder(input_ids=torch.tensor([ids]), past_key_values=theirs[-1])

    canvases = ours.open_canvases(caches)
    going = list(range(len(prompts)))
    canvas_ids, soft = noise(ours, len(going)), None
    scores: list[Tensor | None] = [None] * len(going)
    stopping: list[Any] = [StableAndConfidentStoppingCriteria(1, confidence) for _ in going]
    drafts: list[list[Tensor]] = [[] for _ in going]
    for step in range(steps):
        tau = sampling.temperature(0.4, 0.8, steps - step, steps)
        logits = ours.denoise(canvases, canvas_ids, soft)
        given_logits = logits.clone()
        prediction = sampling.predict(logits, tau)
        accepted = sampling.accept(prediction.entropy.view(-1, size), bound)
        for row, canvas in enumerate(going):
            rows = slice(row * size, row * size + size)
            expected = pair.logits(theirs[canvas], canvas_ids[row], scores[canvas])
            torch.testing.assert_close(given_logits[rows], expected, atol=1e-3, rtol=1e-3)

            scores[canvas] = processed = expected / tau
            exact: Any = torch.distributions.Categorical(logits=processed)
            entropy, draft = exact.entropy(), prediction.draft[rows].long()
            torch.testing.assert_close(prediction.entropy[rows], entropy, atol=2e-3, rtol=1e-3)
            assert torch.equal(draft, expected.argmax(-1))

            oracle: Any = EntropyBoundSampler(EntropyBoundSamplerConfig(bound), size, ours.vocab_size, steps)
            row_ids = canvas_ids[row : row + 1]
            oracle.accept_canvas(row_ids, row_ids, processed[None], steps - step)
            assert torch.equal(accepted[row], oracle.accepted_token_mask[0])

            drafts[canvas].append(draft)
            decision = bool(stopping[canvas](draft[None], processed[None]).item())
            mean = prediction.entropy[rows].mean()
            assert sampling.settled(drafts[canvas], 1, mean, confidence) == decision

        spread = (prediction.entropy > CERTAIN).nonzero().squeeze(-1)
        soft = ours.soft_embedding(prediction.draft.long(), spread, prediction.probabilities, spread)
        drawn = prediction.draft.long().view(-1, size)
        canvas_ids = torch.where(accepted, drawn, noise(ours, len(going), step + 2))
        if step == 1:  # the first canvas has finished
            canvases.narrow(torch.arange(1, len(going)))
            going, canvas_ids, soft = going[1:], canvas_ids[1:], soft[size:]
    for cache, keys in zip(caches, before, strict=True):
        for layer, kept in zip(cache.layers, keys, strict=True):
            assert torch.equal(layer.keys, kept), "a canvas must not write the cache"


def test_a_row_of_a_batch_is_the_same_canvas_alone(tiny: DiffusionGemma) -> None:
    caches = [prefilled(tiny, prompt_ids(tiny, length)) for length in TINY_LENGTHS]
    ids = noise(tiny, len(caches))
    soft = torch.randn(ids.numel(), 32, generator=torch.Generator().manual_seed(0))
    together = tiny.denoise(tiny.open_canvases(caches), ids, soft).view(len(caches), 16, -1)
    for row, cache in enumerate(caches):
        alone = tiny.denoise(
            tiny.open_canvases([cache]), ids[row : row + 1], soft.view(-1, 16, 32)[row].clone()
        )
        torch.testing.assert_close(together[row], alone, atol=2e-5, rtol=2e-5)


def test_what_others_are_in_the_batch_does_not_matter(tiny: DiffusionGemma) -> None:
    """Their prefixes, however long, and their canvases."""
    ids = noise(tiny, 2)
    own = prefilled(tiny, prompt_ids(tiny, 9))
    rows = []
    for other, others_ids in ((60, 0), (60, 40), (20, 7)):
        caches = [own, prefilled(tiny, prompt_ids(tiny, other, seed=other))]
        batch = torch.stack((ids[0], (ids[1] + others_ids) % 99))
        rows.append(tiny.denoise(tiny.open_canvases(caches), batch, None)[:16])
    torch.testing.assert_close(rows[1], rows[0], atol=2e-5, rtol=2e-5)
    torch.testing.assert_close(rows[2], rows[0], atol=2e-5, rtol=2e-5)


def test_logits_stay_in_one_buffer_from_step_to_step(tiny: DiffusionGemma) -> None:
    """Also where fewer canvases are left."""
    cache = prefilled(tiny, prompt_ids(tiny))
    canvases = tiny.open_canvases([cache] * 3)
    first = tiny.denoise(canvases, noise(tiny, 3), None)
    second = tiny.denoise(canvases, noise(tiny, 3), None)
    canvases.narrow(torch.tensor([0, 2]))
    third = tiny.denoise(canvases, noise(tiny, 2), None)
    assert first.data_ptr() == second.data_ptr() == third.data_ptr()
    assert (len(second), len(third)) == (48, 32)


def bf16_errors(folder: Path, exactly: Pair, lengths: Sequence[int]) -> list[tuple[float, float]]:
    """Median errors of ours and of the library's, both in bf16, beside fp32: of a first step, and of a second
    with self-conditioning. As medians, since a router that chooses another expert errs by much.
    """
    ours = DiffusionGemma(plan_for(folder, "bf16"))
    theirs = Pair(ours, library(folder, torch.bfloat16), lengths)
    prompts = [prompt_ids(ours, length, seed=length) for length in lengths]
    canvases = ours.open_canvases([prefilled(ours, ids) for ids in prompts])
    ids = noise(ours, len(prompts))
    logits = ours.denoise(canvases, ids, None)
    first = logits.clone()
    prediction = sampling.predict(logits, 0.8)
    rows = torch.arange(len(logits))
    soft = ours.soft_embedding(prediction.draft.long(), rows, prediction.probabilities, rows)
    second = ours.denoise(canvases, ids, soft)
    assert (second.dtype, soft.dtype) == (torch.float32, torch.bfloat16)

    errors = []
    scores: list[Tensor] = list((first / 0.8).view(len(prompts), ours.canvas_tokens, -1))
    for got, given_scores in ((first, [None] * len(prompts)), (second, scores)):
        beside: list[list[Tensor]] = [[], []]
        for row, prompt in enumerate(prompts):
            for each, collected in zip((theirs, exactly), beside, strict=True):
                cache = each.new_cache()
                each.theirs.model.encoder(input_ids=torch.tensor([prompt]), past_key_values=cache)
                collected.append(each.logits(cache, ids[row], given_scores[row]))
        in_bf16, exact = (torch.cat(collected).float() for collected in beside)
        errors.append(((got - exact).abs().median().item(), (in_bf16 - exact).abs().median().item()))
    return errors


@pytest.fixture
def bf16_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it weights in bf16 are computed in fp32."""
    monkeypatch.setenv("MEZZOTINT_BF16", "1")


@pytest.mark.usefixtures("bf16_arithmetic")
def test_in_bf16_our_logits_err_no_more_than_the_librarys(tiny_folder: Path, tiny_pair: Pair) -> None:
    for ours, theirs in bf16_errors(tiny_folder, tiny_pair, TINY_LENGTHS):
        assert 0 < ours <= 1.1 * theirs


@pytest.mark.usefixtures("bf16_arithmetic")
def test_in_bf16_the_bundled_model_errs_no_more_than_the_librarys(starter_pair: Pair) -> None:
    for ours, theirs in bf16_errors(catalogue.STARTER.folder, starter_pair, [20]):
        assert 0 < ours <= 1.1 * theirs


@pytest.mark.parametrize("rows_a_product", [3, 1000])
def test_the_soft_embedding_is_the_librarys(pair: Pair, rows_a_product: int) -> None:
    """Rows of one token and rows of many in turns; some canvases finished, so rows move up."""
    ours, size, vocab = pair.ours, pair.ours.canvas_tokens, pair.ours.vocab_size
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3 * size, vocab, generator=generator) * 3
    logits[::3, 5] = 60.0
    prediction: Prediction = sampling.predict(logits.clone(), 1.0)
    entropy = prediction.entropy
    assert (entropy[::3] < CERTAIN).all()
    staying = torch.cat((torch.arange(size), torch.arange(2 * size, 3 * size)))  # the middle one finished
    spread = (entropy[staying] > CERTAIN).nonzero().squeeze(-1)
    assert 0 < len(spread) < len(staying)
    draft = prediction.draft[staying].long()
    with patch.object(soft_embedding, "LOGITS_CHUNK_BYTES", rows_a_product * vocab * 4):
        soft = ours.soft_embedding(draft, spread, prediction.probabilities, staying[spread])
    embedding = pair.theirs.model.decoder.embed_tokens
    theirs = logits[staying].softmax(-1) @ embedding.weight * embedding.embed_scale
    torch.testing.assert_close(soft, theirs, atol=2e-4, rtol=1e-4)
    assert torch.equal(prediction.probabilities[::3].argmax(-1), logits[::3].argmax(-1))


def test_the_soft_embedding_of_a_token_is_its_embedding(model: DiffusionGemma) -> None:
    draft = torch.tensor([5, 2, 5])
    none = torch.tensor([], dtype=torch.long)
    soft = model.soft_embedding(draft, none, torch.zeros(3, model.vocab_size), none)
    assert torch.equal(soft, model.text_model.model.decoder.embed_tokens(draft))


def test_shuffled_weights_write_garbage(starter: DiffusionGemma) -> None:
    """The same loop, but the layers' weights stand at other places: the model is never certain."""
    cache = prefilled(starter, [2, *starter.tokenizer.encode("Dear Anna,\n\nThank you for your letter.")])

    def mean_entropy() -> float:
        steps = run(
            starter, [cache], SamplerConfig(6, 0.3, 0.5, 0.05, 1, 0.02, early_stop=False), seeded([7])
        )
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


def test_a_canvas_smaller_than_the_models_own_is_the_librarys(pair: Pair) -> None:
    """Some positions pinned: those are not predicted, the others as in the whole."""
    ours, tokens = pair.ours, pair.ours.canvas_tokens // 2
    ids, given = noise(ours, 1)[:, :tokens], prompt_ids(ours)
    cache = pair.new_cache()
    pair.theirs.model.encoder.language_model(input_ids=torch.tensor([given]), past_key_values=cache)
    expected = pair.logits(cache, ids[0])
    places = torch.arange(1, tokens, 3)
    canvases = ours.open_canvases([prefilled(ours, given)], tokens)
    torch.testing.assert_close(
        ours.denoise(canvases, ids, None, places), expected[places], rtol=1e-3, atol=1e-3
    )
