"""The experts' products straight from packed weights, in two kernels: nothing is unpacked into memory.

A step of one canvas hits nearly all experts of a layer with a few tokens each, so its time is that of reading
the weights: a quarter of the bytes here, where unpacking first reads and writes them all in bf16 as well.

How the rows are dealt out follows vLLM's fused_moe (Apache-2.0); the packing is that of engine.experts.
"""

from __future__ import annotations

import logging
import math
import os
from functools import cache

import platformdirs
import torch
import triton
import triton.language as tl
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import GELUTanh

from engine.errors import machine_fault
from engine.experts import PackedExperts

ROWS, COLUMNS = 32, 64  # of the result, a program
SHARED, LEAST_SHARED = 64, 32  # columns that a program multiplies at once: never across a scale's border
TRIED_TOKENS, TOLERANCE = 4, 0.02
AMPERE = (8, 0)
_GELU_OUTER = tl.constexpr(1.5957691216057308)  # 2 · sqrt(2 / π)
_GELU_INNER = tl.constexpr(0.044715)

os.environ.setdefault("TRITON_CACHE_DIR", str(platformdirs.user_cache_path("mezzotint") / "triton"))
log = logging.getLogger(__name__)


class FusedExperts(PackedExperts):
    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        """hidden_states: (tokens, hidden); the others: (tokens, k) → (tokens, hidden).

        Waits for no device, and reads only the experts that were hit.
        """
        device, count = hidden_states.device, top_k_index.shape[-1]
        size, width = self.gate_up_shape[-1], self.down_shape[-1]
        # Rows sorted by expert, each expert's in blocks of ROWS of its own. There may be fewer blocks than
        # programs: how many there are is known to the device alone.
        found, order = torch.sort(top_k_index.flatten(), stable=True)
        begins = torch.searchsorted(found, torch.arange(self.num_experts + 1, device=device))
        blocks = (begins.diff() + (ROWS - 1)).div_(ROWS, rounding_mode="floor").cumsum(0)
        blocks = functional.pad(blocks, (1, 0))
        most = min(self.num_experts, len(order)) + len(order) // ROWS
        block_experts = torch.searchsorted(blocks, torch.arange(most, device=device), right=True) - 1
        deal = order, begins, blocks, block_experts
        held = self.packed, self.scales, self.scale_peaks, self.scale_means, self.scale_codes
        layout = self.num_experts, self.row_values, self.blocks, self.scale_peaks.shape[1]
        tile = ROWS, COLUMNS, _shared(self)
        levels = _levels(device)
        inner = hidden_states.new_empty(len(order), width)
        result = hidden_states.new_empty(len(order), size)
        with torch.cuda.device_of(hidden_states):  # Triton launches on the current device
            _gate_up[most, triton.cdiv(width, COLUMNS)](
                _halved(hidden_states), *held, levels, *deal, inner, *layout, count, size, width, *tile
            )
            _down[most, triton.cdiv(size, COLUMNS)](
                inner,
                *held,
                levels,
                *deal,
                top_k_weights.contiguous(),
                result,
                *layout,
                self.gate_up_values,
                width,
                size,
                *tile,
            )
        return result.view(-1, count, size).sum(dim=1)


def fuse(model: nn.Module, count: int, dtype: torch.dtype) -> bool:
    """Let packed experts compute in these kernels, if on each device they give what unpacking gives.

    count: experts that a token is given. What keeps Triton from compiling there (no C compiler, a card that
    it does not know) is logged.
    """
    layers = [module for module in model.modules() if type(module) is PackedExperts]
    if not layers or not all(_suits(layer) for layer in layers):
        return False
    try:
        one_each = {layer.packed.device: layer for layer in layers}
        deviations = [_deviation(layer, count, dtype) for layer in one_each.values()]
    except Exception as error:  # Triton and the driver have no common one
        if (fault := machine_fault(error)) and fault.kind == "device-lost":
            raise
        log.warning("Experts are unpacked before each product, which is slower: %s", error)
        return False
    layers[0].scratch.clear()
    if not all(deviation < TOLERANCE for deviation in deviations):
        log.warning("Fused experts deviate by %s here and are not used", deviations)
        return False
    for layer in layers:
        layer.__class__ = FusedExperts
    return True


def _suits(experts: PackedExperts) -> bool:
    device = experts.packed.device
    if device.type == "cuda" and not torch.version.hip and torch.cuda.get_device_capability(device) < AMPERE:
        return False  # Triton's products do not reach the tensor cores of older cards
    return type(experts.act_fn) is GELUTanh and _shared(experts) >= LEAST_SHARED


def _shared(experts: PackedExperts) -> int:
    return math.gcd(SHARED, experts.gate_up_shape[-1], experts.down_shape[-1])


def _deviation(experts: PackedExperts, count: int, dtype: torch.dtype) -> float:
    """Of the fused product from the other one, as a share of its size."""
    device = experts.packed.device
    draws = torch.Generator().manual_seed(0)
    hidden = torch.randn(TRIED_TOKENS, experts.gate_up_shape[-1], generator=draws).to(device, dtype)
    weights = torch.rand(TRIED_TOKENS, experts.num_experts, generator=draws).to(device)
    top = weights.topk(count)
    given = hidden, top.indices, top.values
    expected, fused = experts(*given).float(), FusedExperts.forward(experts, *given).float()  # type: ignore[arg-type]
    return float((fused - expected).norm() / expected.norm())


@cache
def _levels(device: torch.device) -> Tensor:
    """The sixteen values of NF4."""
    from bitsandbytes.functional import get_4bit_type

    levels: Tensor = get_4bit_type("nf4", device=device)
    return levels


def _halved(rows: Tensor) -> Tensor:
    """Each row's even columns, then its odd ones: as two values share a byte."""
    halves: Tensor = rows.unflatten(-1, (-1, 2)).transpose(-1, -2).flatten(-2)
    return halves


@triton.jit
def _block(begins, blocks, block_experts, experts: tl.constexpr, rows: tl.constexpr):
    """A program's expert, `experts` for none, and its rows, with which of them there are."""
    block = tl.program_id(0)
    expert = tl.load(block_experts + block)
    there = expert < experts
    begin = tl.load(begins + expert, mask=there, other=0)
    end = tl.load(begins + expert + 1, mask=there, other=0)
    first = begin + (block - tl.load(blocks + expert, mask=there, other=0)) * rows
    numbers = first + tl.arange(0, rows)
    return expert, numbers, numbers < end


@triton.jit
def _add(total, even, odd, packed, scales, peaks, mean, codes, levels, begins, wanted, shared: tl.constexpr):
    """total + rows · values: of an expert's columns the `shared` values from `begins` on. even, odd: the
    rows' halves, (rows, shared / 2).
    """
    places = (begins // 2)[:, None] + tl.arange(0, shared // 2)[None, :]
    pairs = tl.load(packed + places, mask=wanted[:, None], other=0).to(tl.int32)
    block = begins // 64
    scale = tl.load(codes + tl.load(scales + block, mask=wanted, other=0).to(tl.int32))
    scale = (scale * tl.load(peaks + block // 256, mask=wanted, other=0.0) + mean)[:, None]
    first = (tl.load(levels + (pairs >> 4)) * scale).to(even.dtype)
    second = (tl.load(levels + (pairs & 15)) * scale).to(odd.dtype)
    total = tl.dot(even, tl.trans(first), total, input_precision="ieee")
    return tl.dot(odd, tl.trans(second), total, input_precision="ieee")


@triton.jit
def _gate_up(
    hidden,
    packed,
    scales,
    peaks,
    means,
    codes,
    levels,
    order,
    begins,
    blocks,
    block_experts,
    inner,
    experts: tl.constexpr,
    row_values: tl.constexpr,
    row_blocks: tl.constexpr,
    row_peaks: tl.constexpr,
    count: tl.constexpr,
    size: tl.constexpr,
    width: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
    shared: tl.constexpr,
):
    """inner[row] = GELU(gate · token) · (up · token), halved; rows are sorted by expert."""
    expert, numbers, there = _block(begins, blocks, block_experts, experts, rows)
    if expert >= experts:
        return
    packed += expert * (row_values // 2)
    scales += expert * row_blocks
    peaks += expert * row_peaks
    mean = tl.load(means + expert)
    tokens = tl.load(order + numbers, mask=there, other=0) // count
    column = tl.program_id(1) * columns + tl.arange(0, columns)
    wanted = column < width
    pair = tl.arange(0, shared // 2)
    gate = tl.zeros((rows, columns), tl.float32)
    up = tl.zeros((rows, columns), tl.float32)
    for begin in range(0, size, shared):
        place = hidden + tokens[:, None] * size + (begin // 2 + pair)[None, :]
        even = tl.load(place, mask=there[:, None], other=0.0)
        odd = tl.load(place + size // 2, mask=there[:, None], other=0.0)
        value = column * size + begin
        gate = _add(gate, even, odd, packed, scales, peaks, mean, codes, levels, value, wanted, shared)
        value += width * size
        up = _add(up, even, odd, packed, scales, peaks, mean, codes, levels, value, wanted, shared)
    inward = _GELU_OUTER * gate * (1.0 + _GELU_INNER * gate * gate)
    result = gate * tl.sigmoid(inward) * up
    half = (column % 2) * (width // 2) + column // 2
    place = inner + numbers[:, None] * width + half[None, :]
    tl.store(place, result.to(inner.dtype.element_ty), mask=there[:, None] & wanted[None, :])


@triton.jit
def _down(
    inner,
    packed,
    scales,
    peaks,
    means,
    codes,
    levels,
    order,
    begins,
    blocks,
    block_experts,
    top_k_weights,
    result,
    experts: tl.constexpr,
    row_values: tl.constexpr,
    row_blocks: tl.constexpr,
    row_peaks: tl.constexpr,
    skip: tl.constexpr,
    width: tl.constexpr,
    size: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
    shared: tl.constexpr,
):
    """result[order[row]] = weight · (down · inner[row]); skip: values before the down projection."""
    expert, numbers, there = _block(begins, blocks, block_experts, experts, rows)
    if expert >= experts:
        return
    packed += expert * (row_values // 2)
    scales += expert * row_blocks
    peaks += expert * row_peaks
    mean = tl.load(means + expert)
    column = tl.program_id(1) * columns + tl.arange(0, columns)
    wanted = column < size
    pair = tl.arange(0, shared // 2)
    total = tl.zeros((rows, columns), tl.float32)
    for begin in range(0, width, shared):
        place = inner + numbers[:, None] * width + (begin // 2 + pair)[None, :]
        even = tl.load(place, mask=there[:, None], other=0.0)
        odd = tl.load(place + width // 2, mask=there[:, None], other=0.0)
        value = skip + column * width + begin
        total = _add(total, even, odd, packed, scales, peaks, mean, codes, levels, value, wanted, shared)
    target = tl.load(order + numbers, mask=there, other=0)
    weight = tl.load(top_k_weights + target, mask=there, other=0.0).to(tl.float32)
    place = result + target[:, None] * size + column[None, :]
    tl.store(
        place,
        (total * weight[:, None]).to(result.dtype.element_ty),
        mask=there[:, None] & wanted[None, :],
    )
