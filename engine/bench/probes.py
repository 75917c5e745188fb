"""The probes by name, and what the figures depend on."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import metadata

import torch

from engine.bench import curve, first_frame, prefill, sampler, share, speed, step, variants
from engine.bench.rows import Row
from engine.bench.setting import Setting

PROBES: dict[str, Callable[[Setting], list[Row]]] = {
    "step": step.measure,
    "sampler": sampler.measure,
    "share": share.measure,
    "prefill": prefill.measure,
    "first_frame": first_frame.measure,
    "variants": variants.measure,
    "speed": speed.measure,
    "curve": curve.measure,
}


def conditions(setting: Setting) -> str:
    ready = setting.ready
    versions = ", ".join(f"{name} {_version(name)}" for name in ("torch", "transformers", "diffusers"))
    sizes = setting.sizes
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
