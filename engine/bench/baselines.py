"""The baselines of a step: the library's own model, and who drives it."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import time
from types import SimpleNamespace
from typing import Any

import torch
from transformers import DiffusionGemmaForBlockDiffusion

from engine.bench.bench_setup import BenchSetup
from engine.bench.timing import gaps
from engine.checkpoints import catalogue

NEVER_CONFIDENT = 1e-30  # no early stop, though its price is paid


class LibraryModel:
    """generate() and Diffusers' pipeline on the same weights and precision as the setup's."""

    def __init__(self, setup: BenchSetup) -> None:
        folder, _label = catalogue.resolve_model(setup.ready.model)
        model = setup.model
        library: Any = DiffusionGemmaForBlockDiffusion.from_pretrained(
            folder,
            local_files_only=True,
            dtype=model.text_model.dtype,
            attn_implementation="sdpa",
            experts_implementation="grouped_mm",
        )
        self.model = library.to(model.device).eval()
        self._sampler, self._canvas_tokens = model.sampler, model.canvas_tokens

    def generate(self, ids: list[int], steps: int) -> list[float]:
        """The milliseconds from each step to the next."""
        times: list[float] = []
        streamer = SimpleNamespace(
            put_draft=lambda **_draft: times.append(time.perf_counter()),
            put=lambda _ids: None,
            end=lambda: None,
        )
        config = copy.deepcopy(self.model.generation_config)
        config.max_denoising_steps = steps
        config.confidence_threshold = NEVER_CONFIDENT
        given = torch.tensor([ids], device=self.model.device)
        self.model.generate(
            given, generation_config=config, max_new_tokens=self._canvas_tokens, streamer=streamer
        )
        return gaps(times)

    def pipeline(self, ids: list[int], steps: int) -> list[float]:
        """The milliseconds from each step to the next, in Diffusers."""
        diffusers: Any = importlib.import_module("diffusers")
        times: list[float] = []

        def mark(*_where: Any) -> dict[str, Any]:
            times.append(time.perf_counter())
            return {}

        scheduler = diffusers.EntropyBoundScheduler(
            entropy_bound=self._sampler.entropy_bound, t_min=self._sampler.t_min, t_max=self._sampler.t_max
        )
        pipeline = diffusers.DiffusionGemmaPipeline(self.model, scheduler, _Processor(ids))
        pipeline.set_progress_bar_config(disable=True)
        pipeline(
            prompt="",
            gen_length=self._canvas_tokens,
            num_inference_steps=steps,
            confidence_threshold=NEVER_CONFIDENT,
            output_type="seq",
            callback_on_step_end=mark,
        )
        return gaps(times)


def has_diffusers() -> bool:
    return importlib.util.find_spec("diffusers") is not None


class _Processor:
    """Gives the pipeline the ids it is to continue; a model that only continues text has no chat template."""

    def __init__(self, ids: list[int]) -> None:
        self._ids = ids

    def apply_chat_template(self, *_messages: Any, **_wishes: Any) -> dict[str, torch.Tensor]:
        return {"input_ids": torch.tensor([self._ids])}
