"""A model that is ready to draft, with its tokenizers and caches."""

from __future__ import annotations

from dataclasses import dataclass

from engine.model.diffusion_gemma import DiffusionGemma
from engine.model.prefix_cache import PrefixCache
from engine.protocol.events import Device
from engine.protocol.requests import DraftPlace
from engine.text import prompt


@dataclass(frozen=True)
class LoadedModel:
    model: DiffusionGemma
    device: Device
    prefix: PrefixCache

    def prompt(self, place: DraftPlace, context_tokens: int | None) -> prompt.Prompt:
        wanted = self.model.default_context_tokens if context_tokens is None else context_tokens
        budget = min(wanted, self.model.max_context_tokens)
        return prompt.build_prompt(self.model.tokenizer, place, budget)
