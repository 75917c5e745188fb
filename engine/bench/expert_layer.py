"""A layer's experts at the 26B model's widths, with random weights: packed in 4 bits, and as the library has
them.
"""

from __future__ import annotations

import json
from typing import Any

import torch
from transformers.activations import ACT2FN
from transformers.integrations.moe import grouped_mm_experts_forward

from engine.bench.bench_setup import BenchSetup
from engine.bench.report import Row, row
from engine.bench.timing import medians, milliseconds
from engine.checkpoints import catalogue
from engine.quantization.nf4 import Nf4Experts
from engine.quantization.packed_experts import ScratchBuffer, UnpackedExperts

POSITIONS = 256
LIBRARY = "the library's, unpacked in bf16"


def measure(setup: BenchSetup) -> list[Row]:
    config = json.loads((catalogue.GEMMA_26B.describes / "config.json").read_text("utf-8"))["text_config"]
    count, hidden = setup.sizes.experts, config["hidden_size"]
    generator = torch.Generator().manual_seed(0)

    def weights(*shape: int) -> torch.Tensor:
        return torch.empty(count, *shape, dtype=torch.bfloat16).normal_(std=0.02, generator=generator)

    width = config["moe_intermediate_size"]
    whole: Any = UnpackedExperts(
        count, weights(2 * width, hidden), weights(hidden, width), ACT2FN[config["hidden_activation"]]
    )
    packed = _packed(whole)
    given = torch.randn(POSITIONS, hidden, generator=generator).bfloat16()
    scores = torch.randn(POSITIONS, count, generator=generator).softmax(dim=-1)
    shares, chosen = scores.topk(min(count, config["top_k_experts"]))
    routed = given, chosen, shares.bfloat16()
    with torch.inference_mode():
        found = medians(
            {
                "ours": lambda: milliseconds(lambda: packed(*routed)),
                LIBRARY: lambda: milliseconds(lambda: grouped_mm_experts_forward(whole, *routed)),
            },
            setup.sizes.slow_rounds,
        )
    name = f"one layer's {count} experts of {hidden} × {width}, {POSITIONS} positions, 4-bit, CPU"
    return [row(name, "ms", found["ours"], found[LIBRARY], LIBRARY)]


def _packed(like: UnpackedExperts) -> Nf4Experts:
    """Random codes: packing takes minutes and says nothing of the time that unpacking takes."""
    import bitsandbytes  # noqa: F401 - brings the operations

    experts: Any = Nf4Experts(like, ScratchBuffer())
    generator = torch.Generator().manual_seed(0)
    for codes in (experts.packed, experts.scales):
        codes.random_(0, 256, generator=generator)
    for scales, size in (
        (experts.scale_peaks, 0.05),
        (experts.scale_means, 0.05),
        (experts.scale_codes, 1.0),
    ):
        scales.fill_(size)
    packed: Nf4Experts = experts
    return packed
