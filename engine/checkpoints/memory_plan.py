"""Plan a model's memory for each precision and context size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.checkpoints.memory_estimate import CONTEXTS, MemoryEstimate, streaming
from engine.checkpoints.model_shape import ModelShape
from engine.checkpoints.precision import Precision
from engine.checkpoints.units import memory_text
from engine.protocol.events import Device


@dataclass(frozen=True)
class MemoryPlan:
    """A model's needs at one precision and context size, and what would fit instead; it forbids nothing."""

    precision: Precision
    context_tokens: int
    limit_tokens: int
    """The most that the model reads; a larger context is planned as this one."""
    weights_bytes: int
    total_bytes: int
    """With the KV cache and a step, on the device."""
    streamed_bytes: int
    """Of the weights: what lies in main memory, and is copied to the card in each step."""
    free_bytes: int
    """What the place has for it; 0: not known."""
    fits: bool
    """Also where that is not known."""
    fits_once_emptied: bool
    """Of all other programs."""
    smaller_context_fits: bool
    fitting_precision: Precision | None
    """The most exact one that fits in its stead."""
    fitting_precision_with_smaller_context: Precision | None

    @property
    def spare_bytes(self) -> int:
        """Less than 0: what it lacks."""
        return self.free_bytes - self.total_bytes


def memory_plans(
    shape: ModelShape,
    precisions: Sequence[Precision],
    free_bytes: int,
    total_bytes: int = 0,
    cards: int = 1,
    variants: int = 1,
    main_free_bytes: int = 0,
    kept_free_bytes: int = 0,
    device: Device | None = None,
) -> list[MemoryPlan]:
    """A plan for each precision and context size. free_bytes, total_bytes: the place's; 0: not known.
    variants: how many drafts develop at once; main_free_bytes: the main memory's, where the place is a card;
    kept_free_bytes: see streaming(); device: as in MemoryEstimate.
    """

    def planned(precision: Precision, context: int) -> MemoryEstimate:
        tokens = min(context, shape.limit_tokens)
        estimate = MemoryEstimate(shape, precision, tokens, variants, device=device)
        return streaming(estimate, free_bytes, main_free_bytes, kept_free_bytes) or estimate

    estimates = {
        (precision, context): planned(precision, context) for precision in precisions for context in CONTEXTS
    }
    needs = {case: estimate.needed_bytes(cards) for case, estimate in estimates.items()}

    def first_fitting(context: int) -> Precision | None:
        return next((other for other in precisions if needs[other, context] <= free_bytes), None)

    return [
        MemoryPlan(
            precision=precision,
            context_tokens=context,
            limit_tokens=shape.limit_tokens,
            weights_bytes=estimate.weights_bytes,
            total_bytes=(need := needs[precision, context]),
            streamed_bytes=estimate.streamed_bytes,
            free_bytes=free_bytes,
            fits=not free_bytes or need <= free_bytes,
            fits_once_emptied=need <= total_bytes,
            smaller_context_fits=needs[precision, CONTEXTS[0]] <= free_bytes < need,
            fitting_precision=first_fitting(context),
            fitting_precision_with_smaller_context=first_fitting(CONTEXTS[0]),
        )
        for (precision, context), estimate in estimates.items()
    ]


def plan_words(
    plan: MemoryPlan, place: str, *, several: bool, names: Mapping[str, str], instead: bool = False
) -> str:
    """The verdict, to be said after the precision. place: the device's name, or that of several cards; names:
    of the precisions; instead: what the model in use holds counts as free.
    """
    have = "have" if several else "has"
    if not plan.free_bytes:
        told = f"needs {memory_text(plan.total_bytes)}; how much {place} {have} free is not known"
    elif plan.fits:
        where = f" on {place}" * several + " in place of the model in use" * instead
        told = f"fits with {memory_text(plan.spare_bytes)} to spare{where}"
        if plan.streamed_bytes:
            told = (
                f"fits{where}, with {memory_text(plan.streamed_bytes)} of it in main memory, which is slower"
            )
    else:
        lack = memory_text(max(2**20, -plan.spare_bytes))
        even = " even without the model in use" * instead
        told = f"needs {lack} more than {place} {have} free{even}: {_ways(plan, names)}"
    limited = f" (this model reads at most about {round(0.75 * plan.limit_tokens, -2):,.0f} words)"
    return told + limited * (plan.context_tokens > plan.limit_tokens)


def _ways(plan: MemoryPlan, names: Mapping[str, str]) -> str:
    """To make it fit."""
    smaller, packed = plan.fitting_precision_with_smaller_context, plan.fitting_precision
    choices = ["a smaller context"] * plan.smaller_context_fits + ([names[packed]] if packed else [])
    if smaller and not choices:
        choices = [f"{names[smaller]} and a smaller context"]
    ways = ["close other programs"] * plan.fits_once_emptied
    ways += [f"choose {' or '.join(choices)}"] * bool(choices)
    return ", or ".join(ways) or "choose a smaller model"
