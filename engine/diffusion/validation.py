"""Validate a DraftRequest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from engine.checkpoints.model_shape import MAX_CANVASES
from engine.protocol.errors import FaultError
from engine.protocol.requests import DraftRequest

if TYPE_CHECKING:
    from engine.model.diffusion_gemma import DiffusionGemma
    from engine.model.sampler_config import SamplerConfig

MOST_DRAFTS = 8


def check_ranges(request: DraftRequest) -> None:
    """What can be told without the model. Raises input, naming the value and the range."""

    def within(name: str, value: float | None, lowest: float, highest: float) -> None:
        if value is not None and not lowest <= value <= highest:
            raise FaultError("input", f"{name} is {value}.", f"Choose from {lowest} to {highest}.")

    within("The number of steps", request.max_steps, 1, 128)
    within("The number of canvases", request.canvases, 1, MAX_CANVASES)
    within("The number of variants", request.variants, 1, 4)
    within("The seed", request.seed, 0, 2**63 - 1)
    within("The number of drafts in one batch", (1 + len(request.more)) * request.variants, 1, MOST_DRAFTS)
    within("The context size in tokens", request.context_tokens, 64, 2**20)
    within("The least length in tokens", request.min_tokens, 0, request.length_tokens or 2**20)
    within("The share to renoise", request.strength, 0.0, 1.0)
    within("The lower temperature", request.t_min, 0.0, 5.0)
    within("The upper temperature", request.t_max, 0.01, 5.0)
    within("The entropy bound", request.entropy_bound, 0.0, 100.0)


def start_ids(request: DraftRequest, model: DiffusionGemma) -> list[int] | None:
    """The canvas to begin from: the text, an end token, and what the model fills the rest with.

    Raises input for a text that is longer.
    """
    if not request.start:
        return None
    ids = model.tokenizer.encode(request.start)
    room = model.canvas_tokens - len(ids)
    if room < 0:
        raise FaultError(
            "input",
            f"The text to begin from has {len(ids)} tokens.",
            f"Choose a passage of at most {model.canvas_tokens} tokens.",
        )
    return (ids + [model.end_id] + [model.fill_id] * room)[: model.canvas_tokens]


def check_positions(request: DraftRequest, model: DiffusionGemma) -> None:
    """Pins and lengths. Raises input."""
    taken: dict[int, int] = {}
    for position, token in request.pins:
        if not 0 <= position < model.canvas_tokens:
            raise FaultError(
                "input",
                f"A token is pinned at position {position}.",
                f"Choose from 0 to {model.canvas_tokens - 1}.",
            )
        if not 0 <= token < model.vocab_size:
            raise FaultError(
                "input",
                f"The token {token} is pinned, which this model does not have.",
                f"Choose from 0 to {model.vocab_size - 1}.",
            )
        if taken.setdefault(position, token) != token:
            raise FaultError(
                "input",
                f"Position {position} is pinned to two tokens ({taken[position]} and {token}).",
                "Pin each position once.",
            )
    most = request.canvases * model.canvas_tokens
    length = most if request.length_tokens is None else request.length_tokens
    if not 1 <= length <= most:
        raise FaultError("input", f"The length is {length} tokens.", f"Choose from 1 to {most}.")
    if request.min_tokens > most:
        raise FaultError(
            "input", f"The least length is {request.min_tokens} tokens.", f"Choose from 0 to {most}."
        )
    if taken.get(length, model.end_id) != model.end_id:
        raise FaultError(
            "input",
            f"The draft should end at position {length}, where the token {taken[length]} is pinned.",
            "Choose another length, or take that pin away.",
        )
    early = [position for position, token in taken.items() if token in model.end_ids]
    if early and min(early) < request.min_tokens:
        raise FaultError(
            "input",
            f"An end token is pinned at position {min(early)}, before the least length {request.min_tokens}.",
            "Lower the least length, or take that pin away.",
        )


def sampler_for(request: DraftRequest, defaults: SamplerConfig) -> SamplerConfig:
    """Raises input."""
    asked = {name: getattr(request, name) for name in ("max_steps", "t_min", "t_max", "entropy_bound")}
    given = {name: value for name, value in asked.items() if value is not None}
    sampler = replace(defaults, early_stop=request.early_stop, **given)
    if sampler.t_min > sampler.t_max:
        raise FaultError(
            "input",
            f"The lower temperature ({sampler.t_min}) is above the upper one ({sampler.t_max}).",
            "Lower the first or raise the second.",
        )
    return sampler
