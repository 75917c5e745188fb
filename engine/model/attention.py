"""Attention on a processor in parts, so that a cancel is seen between two of them."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from engine.checkpoints.memory_estimate import row_chunks
from engine.quantization.parted_work import PART_PRODUCTS

IN_PARTS = "mezzotint"
"""Its name among the library's kinds of attention."""


def attention_in_parts(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """query: (batch, heads, tokens, size); key, value: (batch, shared heads, seen, size); attention_mask:
    (batch, 1, tokens or 1, seen), bool → (batch, tokens, heads, size).

    Heads that share keys count as more queries of one head: no key is copied for them.
    """
    if attention_mask is None and module.is_causal:  # a block that sees only itself, or one token
        attended: tuple[Tensor, None] = sdpa_attention_forward(module, query, key, value, None, **options)
        return attended
    batch, heads, tokens, size = query.shape
    shared, result = heads // key.shape[1], query.new_empty(batch, tokens, heads, size)
    products = 2 * batch * heads * key.shape[2] * size
    for part in row_chunks(tokens, products, PART_PRODUCTS):
        module.before_part()
        mask = attention_mask
        if mask is not None and mask.shape[2] > 1:
            mask = mask[:, :, part]
            mask = mask if shared == 1 else mask.repeat(1, 1, shared, 1)
        rows = query[:, :, part].reshape(batch, heads // shared, -1, size)
        rows = functional.scaled_dot_product_attention(rows, key, value, mask, scale=options["scaling"])
        result[:, part] = rows.reshape(batch, heads, -1, size).transpose(1, 2)
    return result, None


AttentionInterface.register(IN_PARTS, attention_in_parts)
AttentionMaskInterface.register(IN_PARTS, sdpa_mask)
