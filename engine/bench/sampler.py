"""The sampler alone: our loop and the library's own step function, each with the network taken out.

Timed is what lies between a step's logits and the next canvas, with the probabilities that condition it.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from transformers import DiffusionGemmaForBlockDiffusion
from transformers.models.diffusion_gemma.generation_diffusion_gemma import (
    EntropyBoundSampler,
    EntropyBoundSamplerConfig,
    LinearTemperatureScheduleLogitsProcessor,
    StableAndConfidentStoppingCriteria,
)

from engine.bench.bench_setup import BenchSetup
from engine.bench.report import Row, row
from engine.bench.timing import medians, milliseconds
from engine.diffusion.constraints import CanvasConstraints
from engine.diffusion.denoising import denoise_canvases
from engine.model.sampler_config import SamplerConfig

STATUS = Path("/proc/self/status")
SAMPLER = SamplerConfig(
    max_steps=2, t_min=0.4, t_max=0.8, entropy_bound=0.1, stability_threshold=1, confidence_threshold=1e-30
)
LIBRARY = "transformers' step functions"


def measure(setup: BenchSetup) -> list[Row]:
    rows, vocab = setup.sizes.sampler_rows, setup.sizes.sampler_vocab
    logits = some_logits(rows, vocab)
    again = logits.clone()
    found = medians(
        {"ours": lambda: ours(again, lambda: again.copy_(logits)), LIBRARY: lambda: library(logits)},
        setup.sizes.slow_rounds,
    )
    where = f"the sampler alone, {rows} × {vocab:,}, CPU"
    measured = [row(where, "ms", found["ours"], found[LIBRARY], LIBRARY)]
    if STATUS.exists():
        extra = {side: _in_a_process(side, rows, vocab) / 1e6 for side in SIDES}
        measured.append(row(f"{where}: peak extra memory", "MB", extra["ours"], extra["library"], LIBRARY))
    return measured


def some_logits(rows: int, vocab: int) -> Tensor:
    """As halfway through a canvas: every other row is certain. No more memory is taken than they need."""
    logits = torch.empty(rows, vocab).normal_(std=2.0, generator=torch.Generator().manual_seed(0))
    logits[::2, 5] = 29.0
    return logits


def ours(logits: Tensor, refill: Callable[[], object]) -> list[float]:
    """The milliseconds of each step, the last one left out, which has no next canvas. logits: overwritten."""
    model = _NoNetwork(logits, refill)
    for _step in denoise_canvases(
        model, _NoCanvases(len(logits)), SAMPLER, [torch.Generator().manual_seed(0)], [CanvasConstraints()]
    ):
        pass
    return model.taken_ms


@torch.no_grad()
def library(logits: Tensor) -> list[float]:
    """The milliseconds of a step, with the softmax that its decoder begins the next one with."""
    rows, vocab = logits.shape
    sampler = EntropyBoundSampler(
        EntropyBoundSamplerConfig(SAMPLER.entropy_bound), rows, vocab, SAMPLER.max_steps
    )
    stopping: Any = StableAndConfidentStoppingCriteria(
        SAMPLER.stability_threshold, SAMPLER.confidence_threshold
    )
    schedule: Any = LinearTemperatureScheduleLogitsProcessor(SAMPLER.t_min, SAMPLER.t_max, SAMPLER.max_steps)
    owner: Any = SimpleNamespace(
        config=SimpleNamespace(text_config=SimpleNamespace(vocab_size=vocab)),
        model=SimpleNamespace(decoder=SimpleNamespace(embed_tokens=SimpleNamespace(weight=logits[:0]))),
    )
    step: Any = DiffusionGemmaForBlockDiffusion._denoising_step
    canvas = torch.zeros(1, rows, dtype=torch.long)

    def timed() -> None:
        _canvas, _draft, scores, _finished = step(
            owner,
            decoder_forward=lambda **_given: SimpleNamespace(logits=logits[None]),
            current_canvas=canvas,
            argmax_canvas=canvas,
            input_ids=canvas,
            decoder_position_ids=None,
            self_conditioning_logits=None,
            mask_mapping=None,
            past_key_values=None,
            finished_denoising=torch.zeros(1, dtype=torch.bool),
            cur_step=SAMPLER.max_steps,
            sampler=sampler,
            logits_processor=schedule,
            diffusion_stopping_criteria=stopping,
        )
        scores.softmax(dim=-1, dtype=torch.float32)

    return milliseconds(timed)


SIDES: dict[str, Callable[[Tensor], object]] = {
    "ours": lambda logits: ours(logits, lambda: None),
    "library": library,
}


@dataclass(frozen=True)
class _NoCanvases:
    tokens: int

    def narrow(self, indices: Tensor) -> None: ...


class _NoNetwork:
    """Gives the same logits at every step. See engine.diffusion.denoising.Denoiser."""

    def __init__(self, logits: Tensor, refill: Callable[[], object]) -> None:
        self.device = logits.device
        self.vocab_size = logits.shape[1]
        self.taken_ms: list[float] = []
        self._logits = logits
        self._refill = refill
        self._began = 0.0

    def check_cancelled(self) -> None: ...

    def denoise(self, *_canvases: object) -> Tensor:
        self._refill()
        self._began = time.perf_counter()
        return self._logits

    def soft_embedding(self, *_probabilities: Tensor) -> Tensor:
        self.taken_ms.append(1000 * (time.perf_counter() - self._began))
        return self._logits[:0]


def _in_a_process(side: str, rows: int, vocab: int) -> int:
    """A process of its own has a high-water mark of its own, and no memory that another run left behind."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_peak_extra_bytes, side, rows, vocab).result()


def _peak_extra_bytes(side: str, rows: int, vocab: int) -> int:
    torch.set_num_threads(1)
    SIDES[side](some_logits(2, 64))  # whatever is loaded at first use
    logits = some_logits(rows, vocab)
    before = _kilobytes("VmRSS")
    SIDES[side](logits)
    return 1024 * (_kilobytes("VmHWM") - before)


def _kilobytes(name: str) -> int:
    """VmRSS: resident now; VmHWM: the most ever."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])
