"""How likely a text is to the causal encoder and the head: what all ways of writing it are judged by."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.model import Model


@torch.inference_mode()
def mean_log_probability(model: Model, before: list[int], ids: list[int]) -> float:
    """Nats per token of ids, each predicted from `before` and the ids before it."""
    hidden = model.prefill(model.new_cache(), before + ids)[0, len(before) - 1 : -1]
    text = model.text_model
    cap = text.final_logit_softcapping
    scores: Tensor = torch.tanh(text.lm_head(hidden).float() / cap) * cap
    chosen = torch.tensor(ids, device=model.device)[:, None]
    return scores.log_softmax(dim=-1).gather(-1, chosen).mean().item()
