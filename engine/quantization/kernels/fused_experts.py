"""Use Triton's kernels for packed experts where a trial shows that they agree with unpacking."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import nn
from transformers.activations import GELUTanh

from engine.protocol.errors import machine_fault
from engine.quantization.fp8 import Fp8Experts
from engine.quantization.kernels.fused_fp8 import FusedFp8Experts
from engine.quantization.kernels.fused_nf4 import FusedNf4Experts
from engine.quantization.kernels.grouped_product import MIN_BLOCK_K, block_k_of
from engine.quantization.nf4 import Nf4Experts
from engine.quantization.packed_experts import PackedExperts

FUSED: dict[type[PackedExperts], type[PackedExperts]] = {
    Nf4Experts: FusedNf4Experts,
    Fp8Experts: FusedFp8Experts,
}
TRIAL_TOKENS, TOLERANCE = 4, 0.02  # tokens; the largest deviation, as a share of the product's size
AMPERE = (8, 0)  # compute capability

log = logging.getLogger(__name__)


def use_fused_experts(model: nn.Module, top_k: int, dtype: torch.dtype) -> bool:
    """Let a model's packed experts compute in kernels, if on each device they give what unpacking gives.

    top_k: experts that a token is given. What keeps Triton from compiling there (no C compiler, a card or a
    driver that it does not know) is logged. Raises what failed where memory ran out, and what a lost device
    says.
    """
    layers: list[Any] = [module for module in model.modules() if type(module) in FUSED]
    # Those that are streamed come there when they are needed.
    on_cards = [layer for layer in layers if layer.parts == 1 or layer.packed.device.type != "cpu"]
    if not layers or not all(_suits(layer) for layer in on_cards):
        return False
    one_each = {layer.packed.device: layer for layer in on_cards}
    try:
        deviations = [_deviation(layer, top_k, dtype) for layer in one_each.values()]
    except Exception as error:  # Triton and the driver have no common one
        if (fault := machine_fault(error)) and fault.fault.kind == "out-of-memory":
            raise
        for device in one_each:
            if device.type == "cuda":
                torch.cuda.synchronize(device)  # raises where the device is lost
        log.warning("Experts are unpacked before each product, which is slower: %s", error)
        return False
    layers[0].scratch.clear()
    if not all(deviation < TOLERANCE for deviation in deviations):
        log.warning("Fused experts deviate by %s here and are not used", deviations)
        return False
    for layer in layers:
        layer.__class__ = FUSED[type(layer)]
    return True


def _suits(experts: PackedExperts) -> bool:
    device = experts.packed.device
    if device.type == "cuda" and not torch.version.hip and torch.cuda.get_device_capability(device) < AMPERE:
        return False  # Triton's products do not reach the tensor cores of older cards
    return type(experts.act_fn) is GELUTanh and block_k_of(experts) >= MIN_BLOCK_K


def _deviation(experts: PackedExperts, top_k: int, dtype: torch.dtype) -> float:
    """Of the fused product from that of unpacked experts, as a share of its size."""
    device = experts.packed.device
    draws = torch.Generator().manual_seed(0)
    hidden = torch.randn(TRIAL_TOKENS, experts.gate_up_shape[-1], generator=draws).to(device, dtype)
    weights = torch.rand(TRIAL_TOKENS, experts.num_experts, generator=draws).to(device)
    top = weights.topk(top_k)
    kinds = type(experts), FUSED[type(experts)]
    expected, fused = (kind.forward(experts, hidden, top.indices, top.values).float() for kind in kinds)
    return float((fused - expected).norm() / expected.norm())
