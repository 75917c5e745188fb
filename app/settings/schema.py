"""The settings: each declared once with default, type, range and label."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from engine.checkpoints.precision import Precision
from engine.protocol.requests import Extent


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Each field: type, range, label, default. None is the model's own; as a seed, a new one each time; as
    unload_after_minutes, never. model_folders: the writer's own; offered: the real model, to this writer.
    length: 0 is a sentence, 1 a paragraph, more are paragraphs in so many canvases.
    """

    model: Annotated[str, Meta(title="Model", min_length=1)] = "starter"
    device: Annotated[str, Meta(title="Device", min_length=1)] = "auto"
    precision: Annotated[Literal["auto", Precision], Meta(title="Precision")] = "auto"
    model_folders: Annotated[tuple[str, ...], Meta(title="Added folders")] = ()
    unload_after_minutes: Annotated[int, Meta(title="Free the memory when idle", ge=1, le=1440)] | None = None
    offered: Annotated[bool, Meta(title="The real model was offered")] = False
    max_steps: Annotated[int, Meta(title="Steps", ge=1, le=128)] | None = None
    length: Annotated[int, Meta(title="Length", ge=0, le=4)] = 1
    variants: Annotated[int, Meta(title="Drafts at once", ge=1, le=4)] = 1
    context_tokens: Annotated[int, Meta(title="Context", ge=256, le=32768)] = 2048
    seed: Annotated[int, Meta(title="Seed", ge=0, le=2**63 - 1)] | None = None
    t_max: Annotated[float, Meta(title="Temperature at the start", ge=0.01, le=2.0)] | None = None
    t_min: Annotated[float, Meta(title="Temperature at the end", ge=0.01, le=2.0)] | None = None
    entropy_bound: Annotated[float, Meta(title="Boldness", ge=0.0, le=10.0)] | None = None
    early_stop: Annotated[bool, Meta(title="Stop once the draft has settled")] = True
    read_ahead: Annotated[bool, Meta(title="Read along while I pause")] = True
    history: Annotated[bool, Meta(title="Keep a history of drafts")] = True
    history_days: Annotated[int, Meta(title="Forget drafts", ge=1, le=36500)] | None = 365
    history_mb: Annotated[int, Meta(title="Room for the history", ge=10, le=100_000)] = 500
    check_glitches: Annotated[bool, Meta(title="Mark glitches in drafts")] = True
    check_facts: Annotated[bool, Meta(title="Mark facts that are not from my text")] = True
    engine_mirror: Annotated[str, Meta(title="Mirror", max_length=2000)] = ""
    engine_python_mirror: Annotated[str, Meta(title="Mirror for Python", max_length=2000)] = ""
    engine_proxy: Annotated[str, Meta(title="Proxy", max_length=2000)] = ""
    theme: Annotated[Literal["system", "light", "dark", "sepia"], Meta(title="Theme")] = "system"
    font_family: Annotated[str, Meta(title="Font", min_length=1, max_length=200)] = "Vollkorn"
    font_size_px: Annotated[int, Meta(title="Size", ge=12, le=40)] = 20
    reduced_motion: Annotated[Literal["system", "on", "off"], Meta(title="Reduced motion")] = "system"
    tints_drafted: Annotated[bool, Meta(title="Tint what was drafted")] = False
    panel_open: Annotated[bool, Meta(title="Settings panel open")] = False
    window_geometry: Annotated[str, Meta(title="Window geometry", max_length=4096)] = ""

    @property
    def canvases(self) -> int:
        return max(1, self.length)

    @property
    def extent(self) -> Extent:
        return ("sentence", "paragraph", "paragraphs")[min(self.length, 2)]


_log = logging.getLogger(__name__)

_EXPLAINED = {
    "max_steps": "More steps take longer and read better; a draft that has settled stops before.",
    "length": "A draft ends where its sentence or its paragraph does; several paragraphs end where they may.",
    "variants": "So many drafts of a place develop together, to choose from; more take memory and time.",
    "context_tokens": "How much of your text before the caret the model reads; more takes memory.",
    "seed": "The same number and the same text give the same draft.",
    "t_max": "Higher is more surprising, while the first words are found.",
    "t_min": "Higher is more surprising, while the last words are found.",
    "entropy_bound": "How unsure words may be and still be taken in a step. Higher is faster and rougher.",
    "early_stop": "A draft ends before its last step once nothing in it changes any more.",
    "history": "Every draft, kept or not, stays within reach under Draft › History, on this computer alone.",
    "history_mb": "Where it is used up, the oldest drafts go.",
    "check_glitches": "Doubled or broken words, open brackets, sentences said before: a wavy line; F7 mends.",
    "check_facts": "Names, numbers and dates that stand nowhere in your text are underlined.",
    "read_ahead": "While you pause, the engine reads around the caret, so that a draft comes sooner.",
}
HINTS = get_type_hints(Settings, include_extras=True)


def _meta(name: str) -> Meta:
    for part in (HINTS[name], *get_args(HINTS[name])):
        for extra in get_args(part):
            if isinstance(extra, Meta):
                return extra
    raise LookupError(name)


def label(name: str) -> str:
    """The setting's name, for the writer."""
    return _meta(name).title or name


def explanation(name: str) -> str:
    """What the setting does, for the writer, in a sentence; empty where the label says it all."""
    return _EXPLAINED.get(name, "")


def limits(name: str) -> tuple[float, float]:
    """The smallest and the largest value of a number."""
    meta = _meta(name)
    assert meta.ge is not None
    assert meta.le is not None
    return meta.ge, meta.le


def problem(name: str, value: object) -> str | None:
    """Why the value will not do, in a sentence that names it; None if it will."""
    try:
        msgspec.convert(value, HINTS[name])
    except msgspec.ValidationError as error:
        return f"{label(name)}: {value!r} will not do. {error}."
    return None


def load_settings(settings: Settings) -> tuple[str, str, str]:
    """What the loaded model depends on."""
    return settings.model, settings.device, settings.precision


def room_settings(settings: Settings) -> tuple[int, int]:
    """What the room that its drafts take depends on."""
    return settings.context_tokens, settings.variants


def from_stored(stored: object) -> Settings:
    """The settings of a parsed file: whatever is of no use falls back to its default and is logged."""
    if not isinstance(stored, dict):
        _log.warning("The settings file holds no settings; the defaults are used.")
        return Settings()
    if "canvases" in stored:  # as it was called first
        stored = {"length": stored["canvases"]} | stored
    good: dict[str, Any] = {}
    for field in fields(Settings):
        if field.name not in stored:
            continue
        fault = problem(field.name, stored[field.name])
        if fault is None:
            good[field.name] = msgspec.convert(stored[field.name], HINTS[field.name])
        else:
            _log.warning("%s The default is used: %r.", fault, field.default)
    return Settings(**good)
