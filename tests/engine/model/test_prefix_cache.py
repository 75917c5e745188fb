"""KV reuse: a reused cache equals a fresh one bit by bit, as the decoder sees it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.cache_utils import DynamicCache

from engine.model import diffusion_gemma
from engine.model.diffusion_gemma import DiffusionGemma
from engine.model.prefix_cache import PrefixCache

WINDOW = 16  # of the tiny model

ids_of_a_text = st.lists(st.integers(4, 98), min_size=1, max_size=40)


def text(count: int, seed: int = 0) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    ids: list[int] = torch.randint(4, 99, (count,), generator=generator).tolist()
    return ids


def go_on() -> None: ...


@contextmanager
def sizes(model: DiffusionGemma, block: int = 4, roll_back: int = 8) -> Iterator[None]:
    with (
        patch.object(model, "prefill_tokens", block),
        patch.object(diffusion_gemma, "ROLL_BACK_TOKENS", roll_back),
    ):
        yield


def read(
    prefix: PrefixCache, ids: list[int], check_cancelled: Callable[[], None]
) -> tuple[DynamicCache, int]:
    """The cache, and how many had been read before."""
    reused, *_ = prefix.read(ids, check_cancelled)
    return prefix.fork(), reused


def fresh(model: DiffusionGemma, ids: list[int]) -> Any:
    return read(PrefixCache(model), ids, go_on)[0]


def assert_same(one: Any, other: Any) -> None:
    """A canvas sees all that the full layers hold, and the last window - 1 of the sliding ones."""
    assert one.get_seq_length() == other.get_seq_length()
    for layer, expected in zip(one.layers, other.layers, strict=True):
        length = expected.get_seq_length()
        assert layer.get_seq_length() == length
        shown = min(length, WINDOW - 1) if expected.is_sliding else length
        for name in ("keys", "values"):
            ours, theirs = getattr(layer, name), getattr(expected, name)
            assert min(ours.shape[2], theirs.shape[2]) >= shown
            assert torch.equal(ours[:, :, -shown:], theirs[:, :, -shown:])


# Prefill in blocks of 4; sliding layers keep 15 + 8 tokens.
EDITS: dict[str, tuple[list[int], list[int], int]] = {
    "nothing changed": (text(50), text(50), 50),
    "appended": (text(50), text(50) + text(20, 1), 48),
    "appended by one": (text(48), [*text(48), 5], 48),
    "edited before": (text(50), [9, *text(50)[1:]], 0),
    "edited inside, as far back as can be": (text(50), text(42) + text(8, 1), 0),
    "edited inside, near the end": (text(50), text(44) + text(6, 1), 44),
    "edited inside, at a block's beginning": (text(48), text(40) + text(8, 1), 40),
    "edited inside, one block further back": (text(48), text(36) + text(12, 1), 0),
    "edited inside, at a block's end": (text(48), text(43) + text(5, 1), 40),
    "edited after": (text(50), [*text(49), 5], 48),
    "shortened": (text(50), text(45), 44),
    "shortened to a block": (text(50), text(44), 44),
    "shortened by more than can be taken back": (text(50), text(30), 0),
    "shortened to less than a block": (text(50), text(3), 0),
    "shorter than the window, edited inside": (text(14), text(6) + text(9, 1), 4),
    "within what is kept, edited near the start": (text(23), text(5) + text(18, 1), 4),
    "shorter than the window, then longer": (text(9), text(9) + text(60, 1), 8),
    "another document": (text(50), text(50, 1), 0),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_reused_cache_equals_a_fresh_one(tiny: DiffusionGemma, name: str) -> None:
    first, then, expected = EDITS[name]
    with sizes(tiny):
        prefix = PrefixCache(tiny)
        read(prefix, first, go_on)
        cache, reused = read(prefix, then, go_on)
        assert reused == expected
        assert_same(cache, fresh(tiny, then))


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 60), ids_of_a_text), min_size=2, max_size=4),
    st.sampled_from([3, 4, 7, 32]),
    st.sampled_from([0, 1, 5, 8, 40]),
)
def test_reuse_holds_over_any_edits(
    tiny: DiffusionGemma, edits: list[tuple[int, list[int]]], block: int, roll_back: int
) -> None:
    with sizes(tiny, block, roll_back):
        prefix = PrefixCache(tiny)
        ids: list[int] = []
        caches = []
        for kept, added in edits:
            ids = ids[:kept] + added
            cache, reused = read(prefix, ids, go_on)
            assert 0 <= reused <= len(ids)
            caches.append((cache, list(ids)))
        for cache, held in caches:  # the earlier ones, too: later reads do not write into them
            assert_same(cache, fresh(tiny, held))


def test_only_what_is_new_is_read(tiny: DiffusionGemma) -> None:
    with sizes(tiny):
        prefix = PrefixCache(tiny)
        read(prefix, text(50), go_on)
        with patch.object(tiny, "prefill", wraps=tiny.prefill) as prefill:
            read(prefix, [*text(50), 5, 6, 7], go_on)
            assert [call.args[1] for call in prefill.call_args_list] == [
                [*text(50)[48:], 5, 6],
                [7],
            ]
            prefill.reset_mock()
            read(prefix, [*text(50), 5, 6, 7], go_on)
            prefill.assert_not_called()


def test_blocks_begin_at_the_same_places_whatever_was_read_before(tiny: DiffusionGemma) -> None:
    """Keys depend on how the ids were cut, in the last bits: other cuts would give another draft."""
    with sizes(tiny):
        prefix = PrefixCache(tiny)
        for count in (1, 2, 6, 11, 30):
            with patch.object(tiny, "prefill", wraps=tiny.prefill) as prefill:
                read(prefix, text(30)[:count], go_on)
                starts = [30 - len(text(30)[count:]) - len(call.args[1]) for call in prefill.call_args_list]
                assert starts[-1] % 4 == 0
                assert all(len(call.args[1]) == 4 for call in prefill.call_args_list[:-1])


# ------------------------------------------------------------------ interruptions


class _StopError(Exception):
    pass


def stop_at(call: int) -> Callable[[], None]:
    calls = itertools.count()

    def check_cancelled() -> None:
        if next(calls) == call:
            raise _StopError

    return check_cancelled


@pytest.mark.parametrize("call", [0, 1, 5, 12])
def test_an_interrupted_read_keeps_what_it_has_read(tiny: DiffusionGemma, call: int) -> None:
    with sizes(tiny):
        prefix = PrefixCache(tiny)
        with pytest.raises(_StopError):
            read(prefix, text(48), stop_at(call))
        cache, reused = read(prefix, [*text(48), 5], go_on)
        assert reused == 4 * call
        assert_same(cache, fresh(tiny, [*text(48), 5]))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.9])
def test_a_read_that_is_broken_off_within_a_block_keeps_the_blocks_before(
    tiny: DiffusionGemma, share: float
) -> None:
    checks: list[int] = []
    with sizes(tiny), tiny.cancelled_by(lambda: checks.append(0)):
        blocks = [len(checks) for _ in PrefixCache(tiny).read(text(48), go_on)]
    assert len(set(blocks)) == len(blocks) == 13
    call = round(share * len(checks))
    with sizes(tiny):
        prefix = PrefixCache(tiny)
        with pytest.raises(_StopError), tiny.cancelled_by(stop_at(call)):
            read(prefix, text(48), go_on)
        cache, reused = read(prefix, [*text(48), 5], go_on)
        assert reused == 4 * sum(before <= call for before in blocks[1:])
        assert_same(cache, fresh(tiny, [*text(48), 5]))


@pytest.mark.parametrize("call", [0, 1, 2])
def test_an_interrupted_read_of_an_edited_text_leaves_no_trace(tiny: DiffusionGemma, call: int) -> None:
    with sizes(tiny):
        prefix = PrefixCache(tiny)
        read(prefix, text(48), go_on)
        with pytest.raises(_StopError):
            read(prefix, text(42) + text(9, 1), stop_at(call))
        for ids in (text(48), text(42) + text(9, 1), text(20)):
            assert_same(read(prefix, ids, go_on)[0], fresh(tiny, ids))


def test_a_cancel_is_seen_before_each_block_and_at_the_end(tiny: DiffusionGemma) -> None:
    calls: list[int] = []
    with sizes(tiny):
        read(PrefixCache(tiny), text(10), lambda: calls.append(0))
    assert len(calls) == 4


# ------------------------------------------------------------------ what a draft does with its cache


def test_a_draft_that_goes_on_leaves_the_prefix_alone(tiny: DiffusionGemma) -> None:
    with sizes(tiny):
        prefix = PrefixCache(tiny)
        cache, _ = read(prefix, text(30), go_on)
        tiny.prefill(cache, [5] * 16)  # its first canvas, before the second
        again, reused = read(prefix, text(30), go_on)
        assert reused == 30
        assert_same(again, fresh(tiny, text(30)))


def test_clear_forgets_all(tiny: DiffusionGemma) -> None:
    with sizes(tiny):
        prefix = PrefixCache(tiny)
        read(prefix, text(30), go_on)
        prefix.clear()
        cache, reused = read(prefix, text(30), go_on)
        assert reused == 0
        assert_same(cache, fresh(tiny, text(30)))


def test_sliding_layers_keep_no_more_than_can_be_rolled_back(tiny: DiffusionGemma) -> None:
    with sizes(tiny):
        layers = fresh(tiny, text(60)).layers
    assert [layer.keys.shape[2] for layer in layers] == [WINDOW - 1 + 8, 60]
    for layer in layers:
        for tensor in (layer.keys, layer.values):
            assert tensor.untyped_storage().nbytes() == tensor.nbytes, "a view holds on to what it leaves out"


def test_the_bundled_model_reuses_a_prefix_beyond_its_window(starter: DiffusionGemma) -> None:
    """Window 1024, blocks of 128, with all that it keeps by default."""
    ids = text(1200)
    then = ids[:900] + [7] * 250
    prefix = PrefixCache(starter)
    read(prefix, ids, go_on)
    cache: Any
    cache, reused = read(prefix, then, go_on)
    assert reused == 896
    for layer, expected in zip(cache.layers, fresh(starter, then).layers, strict=True):
        assert torch.equal(layer.keys, expected.keys)
        assert torch.equal(layer.values, expected.values)
