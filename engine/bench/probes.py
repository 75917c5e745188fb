"""The probes by name, and what the figures depend on."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import metadata

import torch

from engine.bench import draft_speed, expert_layer, real_widths, rewriting, sampler, text_quality
from engine.bench.bench_setup import BenchSetup
from engine.bench.report import Row

PROBES: dict[str, Callable[[BenchSetup], list[Row]]] = {
    "step": draft_speed.step,
    "sampler": sampler.measure,
    "share": draft_speed.share,
    "prefill": draft_speed.prefill,
    "first_frame": draft_speed.first_frame,
    "variants": draft_speed.variants,
    "speed": text_quality.speed,
    "curve": text_quality.curve,
    "sentence": text_quality.sentence,
    "rewrite": rewriting.measure,
    "experts": expert_layer.measure,
    "widths": real_widths.measure,
}


def conditions(setup: BenchSetup) -> str:
    ready = setup.ready
    versions = ", ".join(f"{name} {_version(name)}" for name in ("torch", "transformers", "diffusers"))
    sizes = setup.sizes
    return (
        f"{ready.label} on {ready.device.id} ({ready.device.name}), {ready.precision}, "
        f"{torch.get_num_threads()} of {os.cpu_count()} threads where a row says nothing else\n"
        f"{versions}\n"
        f"medians of {sizes.rounds} rounds by turns ({sizes.slow_rounds} where one takes seconds), after one "
        f"to warm up; of texts: over {len(sizes.openings)} openings"
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed (its rows are left out)"
