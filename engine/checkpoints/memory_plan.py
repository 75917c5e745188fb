"""Plan a model's memory for each precision and context size, with a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.checkpoints.memory_estimate import CONTEXTS, kv_bytes, needed_bytes, step_bytes, weights_bytes
from engine.checkpoints.model_shape import ModelShape
from engine.checkpoints.precision import Precision
from engine.checkpoints.units import memory_text


@dataclass(frozen=True)
class MemoryPlan:
    """What a model needs at one precision and context size. A verdict tells; it forbids nothing."""

    precision: Precision
    context_tokens: int
    weights_bytes: int
    kv_bytes: int
    step_bytes: int
    total_bytes: int
    fits: bool
    verdict: str


def memory_plans(
    shape: ModelShape,
    precisions: Sequence[Precision],
    free_bytes: int,
    total_bytes: int = 0,
    place: str = "this card",
    cards: int = 1,
    *,
    instead: bool = False,
) -> list[MemoryPlan]:
    """A plan for each precision and context size. free_bytes, total_bytes: the place's; 0: not known; what
    a model in use holds counts as free if the planned one is to run instead.
    """
    needs = {
        (precision, context): needed_bytes(shape, precision, min(context, shape.limit_tokens), cards=cards)
        for precision in precisions
        for context in CONTEXTS
    }

    have = "has" if cards == 1 else "have"
    where = f" on {place}" * (cards > 1) + " in place of the model in use" * instead
    even = " even without the model in use" * instead

    def verdict(precision: Precision, context: int) -> str:
        need = needs[precision, context]
        if not free_bytes:
            return f"needs {memory_text(need)}; how much {place} {have} free is not known"
        if need <= free_bytes:
            return f"fits with {memory_text(free_bytes - need)} to spare{where}"
        smaller = [other for other in CONTEXTS if needs[precision, other] <= free_bytes]
        packed = [other for other in precisions if needs[other, context] <= free_bytes]
        least = [other for other in precisions if needs[other, CONTEXTS[0]] <= free_bytes]
        choices = ["a smaller context"] * bool(smaller) + packed[:1]
        choices = choices or [f"{other} and a smaller context" for other in least[:1]]
        ways = ["close other programs"] * (need <= total_bytes)
        ways += ["choose " + " or ".join(choices)] * bool(choices)
        lack = f"needs {memory_text(max(2**20, need - free_bytes))} more than {place} {have} free{even}"
        return f"{lack}: {', or '.join(ways) or 'choose a smaller model'}"

    limit = shape.limit_tokens
    return [
        MemoryPlan(
            precision=precision,
            context_tokens=context,
            weights_bytes=weights_bytes(shape, precision),
            kv_bytes=kv_bytes(shape, precision, min(context, limit)),
            step_bytes=step_bytes(shape, precision, min(context, limit)),
            total_bytes=need,
            fits=not free_bytes or need <= free_bytes,
            verdict=verdict(precision, context)
            + (f" (this model reads at most {limit:,} tokens)" if context > limit else ""),
        )
        for (precision, context), need in needs.items()
    ]
