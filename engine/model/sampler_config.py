"""The sampler's settings, and a checkpoint's defaults for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import DiffusionGemmaConfig


@dataclass(frozen=True)
class SamplerConfig:
    """The sampler's settings. entropy_bound, confidence_threshold: in nats; early_stop False: all steps are
    taken.
    """

    max_steps: int
    t_min: float
    t_max: float
    entropy_bound: float
    stability_threshold: int
    confidence_threshold: float
    early_stop: bool = True


def generation_defaults(model: Any) -> tuple[SamplerConfig, frozenset[int], int]:
    """The checkpoint's own sampler settings, its end ids and its padding id."""
    config, text = model.generation_config, text_config(model.config)
    defaults = config._get_default_generation_params()
    values = {
        name: default if getattr(config, name) is None else getattr(config, name)
        for name, default in defaults.items()
    }
    ends: Any = text.eos_token_id if config.eos_token_id is None else config.eos_token_id
    pad: Any = text.pad_token_id if config.pad_token_id is None else config.pad_token_id
    sampler = SamplerConfig(
        max_steps=values["max_denoising_steps"],
        t_min=values["t_min"],
        t_max=values["t_max"],
        entropy_bound=values["sampler_config"].entropy_bound,
        stability_threshold=values["stability_threshold"],
        confidence_threshold=values["confidence_threshold"],
    )
    return sampler, frozenset([ends] if isinstance(ends, int) else ends), pad


def text_config(config: DiffusionGemmaConfig) -> Any:
    """Fields that the library declares as optional are always set here."""
    return config.text_config
