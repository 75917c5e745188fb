"""Attention on a processor, some queries at a time."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from engine.model.attention import attention_in_parts

HEADS, TOKENS, SIZE = 4, 10, 8


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(shape[1]))


def masks(seen: int) -> dict[str, Tensor | None]:
    """None; the padding of the second canvas; a block behind what was read before it."""
    padding = torch.ones(2, 1, 1, seen, dtype=torch.bool)
    padding[1, :, :, :5] = False
    causal = torch.ones(2, 1, TOKENS, seen, dtype=torch.bool).tril(seen - TOKENS)
    return {"none": None, "padding": padding, "causal": causal}


def layer(causal: bool, shared: int, check: Callable[[], None]) -> Any:
    return SimpleNamespace(is_causal=causal, num_key_value_groups=HEADS // shared, before_part=check)


@pytest.mark.parametrize("queries", [1, 3, TOKENS, 99])
@pytest.mark.parametrize("shared", [1, 2, HEADS])
@pytest.mark.parametrize("kind", masks(TOKENS))
@pytest.mark.parametrize(("seen", "causal"), [(TOKENS, False), (TOKENS, True), (26, False), (26, True)])
def test_attention_in_parts_gives_what_the_librarys_gives(
    seen: int, causal: bool, kind: str, shared: int, queries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks: list[None] = []
    monkeypatch.setattr("engine.model.attention.PART_PRODUCTS", 2 * 2 * HEADS * seen * SIZE * queries)
    module = layer(causal, shared, lambda: checks.append(None))
    query, key, value = (
        drawn(2, HEADS, TOKENS, SIZE),
        drawn(2, shared, seen, SIZE),
        drawn(2, shared, seen, SIZE),
    )
    mask = masks(seen)[kind]
    options: dict[str, Any] = {"scaling": 0.3, "is_causal": causal, "dropout": 0.0, "sliding_window": None}
    found, _ = attention_in_parts(module, query, key, value, mask, **options)
    expected, _ = sdpa_attention_forward(module, query, key, value, mask, **options)
    torch.testing.assert_close(found, expected)
    alone = causal and mask is None  # such a block sees itself alone, and is short
    assert len(checks) == (0 if alone else -(-TOKENS // queries))
