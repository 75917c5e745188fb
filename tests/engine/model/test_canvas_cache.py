"""What the decoder reads: prefixes of different lengths, right-aligned and masked, with room for a canvas."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from engine.model.canvas_cache import CanvasCache

WINDOW, TOKENS, HEADS, SIZE = 6, 4, 2, 3
KINDS = ["sliding_attention", "full_attention", "sliding_attention"]

lengths_of_a_batch = st.lists(st.integers(1, 15), min_size=1, max_size=4)


@dataclass
class Layer:
    keys: Tensor
    values: Tensor


@dataclass
class Cache:
    """Sliding layers hold `beyond` more than a window shows, if the prefix is as long."""

    length: int
    beyond: int = 2
    layers: list[Layer] = field(default_factory=list)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(self.length)
        for kind in KINDS:
            held = min(self.length, WINDOW - 1 + self.beyond) if "sliding" in kind else self.length
            keys, values = torch.randn(2, 1, HEADS, self.length, SIZE, generator=generator)
            self.layers.append(Layer(keys[:, :, -held:], values[:, :, -held:]))

    def get_seq_length(self) -> int:
        return self.length

    def seen(self, layer: int) -> tuple[Tensor, Tensor]:
        """What the decoder may see of it, as the library's own cache would hold it."""
        shown = min(self.length, WINDOW - 1) if "sliding" in KINDS[layer] else self.length
        return self.layers[layer].keys[0, :, -shown:], self.layers[layer].values[0, :, -shown:]


def open_canvases(caches: list[Cache]) -> CanvasCache:
    return CanvasCache(caches, KINDS, WINDOW, TOKENS)


def new_tokens(count: int, layer: int = 0) -> tuple[Tensor, Tensor]:
    keys, values = torch.randn(2, count, HEADS, TOKENS, SIZE, generator=torch.Generator().manual_seed(layer))
    return keys, values


def assert_rows(canvases: CanvasCache, caches: list[Cache]) -> None:
    """Behind the mask each canvas has its own prefix and its own tokens, and nothing else."""
    assert len(canvases.positions) == len(caches)
    for layer, kind in enumerate(KINDS):
        new = new_tokens(len(caches), layer)
        joined = canvases.append(layer, *new)
        for row, cache in enumerate(caches):
            mask = canvases.masks[kind]
            shown = slice(None) if mask is None else mask[row, 0, 0]
            for ours, prefix, tokens in zip(joined, cache.seen(layer), new, strict=True):
                assert torch.equal(ours[row][:, shown], torch.cat((prefix, tokens[row]), dim=1))
                assert ours.isfinite().all()


@given(lengths_of_a_batch, st.integers(0, 3))
def test_each_canvas_sees_its_own_prefix_and_itself(lengths: list[int], beyond: int) -> None:
    caches = [Cache(length, beyond) for length in lengths]
    canvases = open_canvases(caches)
    assert_rows(canvases, caches)
    assert_rows(canvases, caches)  # a second step writes over the first


@given(lengths_of_a_batch, st.data())
def test_what_is_kept_goes_on_as_before(lengths: list[int], data: st.DataObject) -> None:
    kept = data.draw(st.sets(st.integers(0, len(lengths) - 1), min_size=1).map(sorted))
    caches = [Cache(length) for length in lengths]
    canvases = open_canvases(caches)
    assert_rows(canvases, caches)
    canvases.narrow(torch.tensor(kept))
    assert_rows(canvases, [caches[n] for n in kept])
    assert canvases.positions[:, 0].tolist() == [lengths[n] for n in kept]


@given(lengths_of_a_batch)
def test_a_canvas_begins_where_its_prefix_ends(lengths: list[int]) -> None:
    positions = open_canvases([Cache(length) for length in lengths]).positions
    assert positions.tolist() == [list(range(length, length + TOKENS)) for length in lengths]


@pytest.mark.parametrize(
    ("lengths", "sliding", "full"),
    [((7,), True, True), ((4, 4), True, True), ((3, 4), False, False), ((5, 9), True, False)],
)
def test_there_is_no_mask_where_nothing_is_padded(
    lengths: tuple[int, ...], sliding: bool, full: bool
) -> None:
    """From the window on, the sliding layers see as much of every prefix."""
    masks = open_canvases([Cache(length) for length in lengths]).masks
    assert (masks["sliding_attention"] is None, masks["full_attention"] is None) == (sliding, full)


def test_the_caches_are_not_written() -> None:
    caches = [Cache(4), Cache(4)]
    canvases = open_canvases(caches)
    assert_rows(canvases, caches)
    for cache in caches:
        for layer, fresh in zip(cache.layers, Cache(4).layers, strict=True):
            assert torch.equal(layer.keys, fresh.keys)
            assert torch.equal(layer.values, fresh.values)


def test_a_step_allocates_nothing() -> None:
    canvases = open_canvases([Cache(9), Cache(2)])
    first = [joined.data_ptr() for joined in canvases.append(1, *new_tokens(2))]
    assert [joined.data_ptr() for joined in canvases.append(1, *new_tokens(2))] == first
