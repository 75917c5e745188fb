"""KV reuse: keep what the encoder has read, and read only what is new."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from transformers.cache_utils import DynamicCache

from engine.model.diffusion_gemma import DiffusionGemma
from engine.model.kv_cache import fork_cache, roll_back_cache


class PrefixCache:
    """The ids that were read and their keys and values.

    Ids are read in blocks that begin at multiples of the model's prefill_tokens, and reuse ends at such a
    place. So the same ids are always read in the same pieces, and a reused cache equals a fresh one bit by
    bit.
    """

    def __init__(self, model: DiffusionGemma) -> None:
        self._model = model
        self._cache = model.new_cache()
        self._ids: list[int] = []

    def read(self, ids: list[int], check_cancelled: Callable[[], None]) -> Iterator[int]:
        """How many ids are read: at first those that had been before, then with each block.

        check_cancelled is called before each block and may raise; what was read by then stays.
        """
        block = self._model.prefill_tokens
        if ids != self._ids:
            self._keep(_shared(self._ids, ids) // block * block)
        yield len(self._ids)
        for start in range(len(self._ids), len(ids), block):
            check_cancelled()
            self._model.prefill(self._cache, ids[start : start + block])
            self._ids = ids[: start + block]
            yield len(self._ids)
        check_cancelled()

    def fork(self) -> DynamicCache:
        """A cache that holds what was read."""
        return fork_cache(self._cache)

    def clear(self) -> None:
        self._keep(0)

    def _keep(self, count: int) -> None:
        if not count or not roll_back_cache(self._cache, count):
            self._cache, count = self._model.new_cache(), 0
        self._ids = self._ids[:count]


def _shared(one: list[int], other: list[int]) -> int:
    return next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
