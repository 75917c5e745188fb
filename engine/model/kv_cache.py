"""Fork and roll back the library's KV cache."""

from __future__ import annotations

import copy
from typing import Any

from transformers.cache_utils import DynamicCache


def fork_cache(cache: DynamicCache) -> DynamicCache:
    """A cache that can grow on its own; the tensors are shared, since update() makes new ones."""
    forked = copy.copy(cache)
    forked.layers = [copy.copy(layer) for layer in cache.layers]
    return forked


def roll_back_cache(cache: DynamicCache, count: int) -> bool:
    """Forget all but the first `count` tokens. False, and nothing done, where a window no longer reaches."""
    gone = cache.get_seq_length() - count
    sliding, layers = sliding_layers(cache), list[Any](cache.layers)
    if any(layer.keys.shape[2] - gone < min(count, layer.sliding_window - 1) for layer in sliding):
        return False
    for layer in layers:
        end = layer.keys.shape[2] - gone
        layer.keys, layer.values = layer.keys[:, :, :end], layer.values[:, :, :end]
    for layer in sliding:
        layer.cumulative_length = count
    return True


def token_counts(cache: DynamicCache) -> list[int]:
    """Of each layer, how many tokens it holds."""
    return [layer.keys.shape[2] if layer.is_initialized else 0 for layer in list[Any](cache.layers)]


def truncate_cache(cache: DynamicCache, counts: list[int]) -> None:
    """Forget what some layers have got beyond these token_counts()."""
    for layer, count in zip(list[Any](cache.layers), counts, strict=True):
        if layer.is_initialized and (gone := layer.keys.shape[2] - count):
            layer.keys, layer.values = layer.keys[:, :, :count], layer.values[:, :, :count]
            if layer.is_sliding:
                layer.cumulative_length -= gone


def sliding_layers(cache: DynamicCache) -> list[Any]:
    return [layer for layer in list[Any](cache.layers) if layer.is_sliding]
