"""How likely texts are, against explicit computations."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engine.model import likelihood
from engine.model.diffusion_gemma import DiffusionGemma
from engine.model.kv_cache import fork_cache


def some_ids(model: DiffusionGemma, count: int, seed: int) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    ids: list[int] = torch.randint(4, model.vocab_size, (count,), generator=generator).tolist()
    return ids


def explicit(model: DiffusionGemma, ids: list[int], count: int) -> torch.Tensor:
    """Of the last `count` ids, everything read anew for each."""
    encoder: Any = model.text_model.model.encoder.language_model
    cap, nats = model.text_model.final_logit_softcapping, []
    for at in range(len(ids) - count, len(ids)):
        hidden = encoder(input_ids=torch.tensor([ids[:at]])).last_hidden_state[0, -1]
        logits = cap * torch.tanh(model.text_model.lm_head(hidden) / cap)
        nats.append(logits.log_softmax(-1)[ids[at]])
    return torch.stack(nats)


@pytest.fixture(params=["tiny", "starter"])
def model(request: pytest.FixtureRequest) -> DiffusionGemma:
    chosen: DiffusionGemma = request.getfixturevalue(request.param)
    return chosen


@pytest.mark.parametrize("prompt_tokens", [1, 2, 40])
def test_each_token_is_predicted_from_all_before_it(model: DiffusionGemma, prompt_tokens: int) -> None:
    """Texts of different lengths side by side; longer than the tiny model's window."""
    prompt = [2, *some_ids(model, prompt_tokens - 1, 1)]
    texts = [some_ids(model, count, count) for count in (5, 1, 20)]
    cache: Any = model.new_cache()
    model.prefill(cache, prompt)
    before = [layer.keys.clone() for layer in cache.layers]
    told = likelihood.causal(model, cache, prompt[-1], texts)
    for nats, ids in zip(told, texts, strict=True):
        torch.testing.assert_close(nats, explicit(model, prompt + ids, len(ids)), rtol=1e-4, atol=1e-4)
    assert cache.get_seq_length() == prompt_tokens
    assert all(torch.equal(layer.keys, old) for layer, old in zip(cache.layers, before, strict=True))


def test_a_prompt_that_a_window_has_forgotten_counts(tiny: DiffusionGemma) -> None:
    prompt, text = [2, *some_ids(tiny, 300, 1)], some_ids(tiny, 9, 2)
    cache = tiny.new_cache()
    for start in range(0, len(prompt), 128):
        tiny.prefill(cache, prompt[start : start + 128])
    (told,) = likelihood.causal(tiny, cache, prompt[-1], [text])
    torch.testing.assert_close(told, explicit(tiny, prompt + text, 9), rtol=1e-4, atol=1e-4)


def test_a_word_is_judged_by_the_rest_of_its_canvas(starter: DiffusionGemma) -> None:
    """The words of each quarter are noise at once, and every other one is seen."""
    encode = starter.tokenizer.encode
    cache = starter.new_cache()
    starter.prefill(cache, [2, *encode("Dear Anna,\n\nThank you for your letter.")])
    canvas = [*encode(" We were glad to hear from you."), starter.end_id]
    words = [range(at, at + 1) for at in range(len(canvas))]
    told = likelihood.of_words(starter, cache, canvas, words, torch.Generator().manual_seed(1))
    noise = torch.randint(starter.vocab_size, (len(canvas),), generator=torch.Generator().manual_seed(1))
    for number, word in enumerate(words):
        ids = torch.tensor(canvas)
        for other in words[number % 4 :: 4]:
            ids[other.start] = noise[other.start]
        canvases = starter.open_canvases([fork_cache(cache)], len(canvas))
        logits = starter.denoise(canvases, ids[None], None)[word.start]
        assert told[number] == pytest.approx(float(logits.log_softmax(-1)[canvas[word.start]]), abs=1e-3)


def test_a_word_that_does_not_belong_is_the_least_likely(starter: DiffusionGemma) -> None:
    encode = starter.tokenizer.encode
    cache = starter.new_cache()
    starter.prefill(cache, [2, *encode("Dear Anna,\n\nThank you for your letter.")])
    parts = [" We", " were", " glad", " roof", " hear", " from", " you"]
    canvas = [index for part in parts for index in encode(part)]
    words, start = [], 0
    for part in parts:
        words.append(range(start, start + len(encode(part))))
        start = words[-1].stop
    told = likelihood.of_words(starter, cache, canvas, words, torch.Generator().manual_seed(1))
    assert min(range(len(parts)), key=told.__getitem__) == parts.index(" roof")


def test_fewer_words_than_quarters(tiny: DiffusionGemma) -> None:
    cache = tiny.new_cache()
    tiny.prefill(cache, [2, 5])
    (told,) = likelihood.of_words(tiny, cache, [7, 8, 9], [range(1, 3)], torch.Generator().manual_seed(1))
    assert told < 0
