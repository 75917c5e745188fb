"""Validate a DraftRequest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import msgspec

from engine.checkpoints.model_shape import MAX_CANVASES
from engine.protocol.errors import FaultError
from engine.protocol.requests import DraftPlace, DraftRequest, SamplingOverrides

if TYPE_CHECKING:
    from engine.model.diffusion_gemma import DiffusionGemma
    from engine.model.sampler_config import SamplerConfig

T = TypeVar("T")


def check_ranges(request: DraftRequest, max_batch: int) -> None:
    """What can be told without the model. Raises input, naming the value and the range."""
    drafts, sampling = len(request.places) * request.variants, request.sampling
    _within("The number of steps", sampling.max_steps, 1, 128)
    _within("The share of the steps", sampling.steps_share, 0.0, 1.0)
    _within("The number of canvases", request.canvases, 1, MAX_CANVASES)
    _within("The number of variants", request.variants, 1, 4)
    _within("The number of drafts in one batch", drafts, 1, max_batch)
    _within("The seed", request.seed, 0, 2**63 - 1)
    _within("The context size in tokens", request.context_tokens, 64, 2**20)
    _within("The lower temperature", sampling.t_min, 0.0, 5.0)
    _within("The upper temperature", sampling.t_max, 0.01, 5.0)
    _within("The entropy bound", sampling.entropy_bound, 0.0, 100.0)
    at_each_place(request, _check_place_ranges)


def _check_place_ranges(place: DraftPlace) -> None:
    _within("The least length in tokens", place.min_tokens, 0, place.length_tokens or 2**20)
    _within("The share to renoise", place.renoise_share, 0.0, 1.0)
    for share in place.length_shares:
        _within("The share of the length", share, 0.1, 4.0)
    for span in place.held:
        _within("The end of a part to hold", span.end, 1, len(place.start_text))
        _within("The start of a part to hold", span.start, 0, span.end - 1)


def _within(name: str, value: float | None, lowest: float, highest: float) -> None:
    if value is not None and not lowest <= value <= highest:
        raise FaultError("input", f"{name} is {value}.", f"Choose from {lowest} to {highest}.")


def at_each_place(request: DraftRequest, check: Callable[[DraftPlace], T]) -> list[T]:
    """What `check` gives for each; where there are several, what it raises names the place."""
    given = []
    for number, place in enumerate(request.places, 1):
        try:
            given.append(check(place))
        except FaultError as error:
            fault, count = error.fault, len(request.places)
            if count == 1:
                raise
            message = f"Place {number} of {count}: {fault.message}"
            raise FaultError(fault.kind, message, fault.remedy, fault.details) from error
    return given


def check_constraints(place: DraftPlace, canvases: int, model: DiffusionGemma) -> None:
    """Pins and lengths. Raises input."""
    taken = _pins(place, model)
    blanks = place.before[len(place.before.rstrip(" \t")) :] if place.start_text else ""
    if place.joins_after:
        if place.pins or place.min_tokens or not (place.start_text or place.length_tokens):
            message = "A draft that joins the text after it needs a length, and holds no positions."
            raise FaultError("input", message, "Give start_text or length_tokens, and held in place of pins.")
        if not place.start_text:
            _within("The length in tokens", place.length_tokens, 1, model.canvas_tokens // 2)
    elif (tokens := len(model.tokenizer.encode(blanks + place.start_text))) > model.canvas_tokens:
        message = f"The text to begin from has {tokens} tokens."
        raise FaultError("input", message, f"Choose a passage of at most {model.canvas_tokens} tokens.")
    most = canvases * model.canvas_tokens
    length = most if place.length_tokens is None else place.length_tokens
    _within("The length in tokens", length, 1, most)
    _within("The least length in tokens", place.min_tokens, 0, most)
    if taken.get(length, model.end_id) != model.end_id:
        message = f"The draft should end at position {length}, where the token {taken[length]} is pinned."
        raise FaultError("input", message, "Choose another length, or take that pin away.")
    early = [position for position, token in taken.items() if token in model.end_ids]
    if early and min(early) < place.min_tokens:
        where = f"at position {min(early)}, before the least length {place.min_tokens}"
        message = f"An end token is pinned {where}."
        raise FaultError("input", message, "Lower the least length, or take that pin away.")


def _pins(place: DraftPlace, model: DiffusionGemma) -> dict[int, int]:
    """Token ids by position."""
    taken: dict[int, int] = {}
    for pin in place.pins:
        position, token = pin.position, pin.token_id
        _within("The position of a pinned token", position, 0, model.canvas_tokens - 1)
        _within("A pinned token’s number", token, 0, model.vocab_size - 1)
        if taken.setdefault(position, token) != token:
            message = f"Position {position} is pinned to two tokens ({taken[position]} and {token})."
            raise FaultError("input", message, "Pin each position once.")
    return taken


def sampler_for(overrides: SamplingOverrides, defaults: SamplerConfig) -> SamplerConfig:
    """Raises input."""
    given = {name: value for name, value in msgspec.structs.asdict(overrides).items() if value is not None}
    share = given.pop("steps_share")
    sampler = replace(defaults, **given)
    sampler = replace(sampler, max_steps=max(1, round(share * sampler.max_steps)))
    if sampler.t_min > sampler.t_max:
        message = f"The lower temperature ({sampler.t_min}) is above the upper one ({sampler.t_max})."
        raise FaultError("input", message, "Lower the first or raise the second.")
    return sampler
