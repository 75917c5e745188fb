"""Packed experts, the weights that they stand for, and what torch is asked to do for them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from transformers.models.diffusion_gemma.modeling_diffusion_gemma import DiffusionGemmaTextExperts

from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.precision import Precision
from engine.hardware.device_map import CPU_ONLY, DeviceMap
from engine.model.loading import TextModel
from engine.quantization import packed_copy
from engine.quantization.fp8 import FP8, Fp8Experts
from engine.quantization.int4 import Int4Experts, Int4Matrix
from engine.quantization.int8 import Int8Experts
from engine.quantization.nf4 import Nf4Experts
from engine.quantization.packed_experts import PackedExperts, ScratchBuffer

CPU = torch.device("cpu")


def load(
    folder: Path, config: Any = None, dtype: torch.dtype = torch.float32, placement: DeviceMap = CPU_ONLY
) -> Any:
    library: Any = TextModel
    model, report = library.from_pretrained(
        folder,
        placement,
        local_files_only=True,
        dtype=dtype,
        attn_implementation="sdpa",
        experts_implementation="grouped_mm",
        quantization_config=config,
        output_loading_info=True,
    )
    assert not any(report.values()), report
    return model.requires_grad_(False)


def load_source(folder: Path, precision: Precision, cache: Path | None = None) -> packed_copy.LoadSource:
    return packed_copy.load_sources(Checkpoint.open(folder), precision, cache)[0]


def load_packed(folder: Path, precision: Precision, cache: Path | None = None, **options: Any) -> Any:
    """As the engine does it: from the saved copy if there is one, else pack and save."""
    source = load_source(folder, precision, cache)
    model = load(*source, **options)
    if cache and source.packing:
        packed_copy.save_packed_copy(model, folder, cache)
    return model


def experts_of(count: int, hidden: int, width: int) -> Any:
    config: Any = SimpleNamespace(
        num_experts=count,
        hidden_size=hidden,
        moe_intermediate_size=width,
        hidden_activation="gelu_pytorch_tanh",
        _experts_implementation="eager",
    )
    experts: Any = DiffusionGemmaTextExperts(config)
    for tensor in experts.parameters():
        torch.nn.init.normal_(tensor, std=0.1)
    return experts.requires_grad_(False)


def pack(
    experts: Any, scratch: ScratchBuffer | None = None, kind: type[PackedExperts] = Nf4Experts
) -> PackedExperts:
    module = kind(experts, scratch or ScratchBuffer())
    for name, tensor in module.pack(CPU, experts.gate_up_proj, experts.down_proj).items():
        getattr(module, name).data = tensor
    return module


def unpack(module: PackedExperts, experts: Any) -> Any:
    """The weights that packed ones stand for, step by step; written into the library's experts."""
    read = _READERS[type(module)]
    for index in range(module.num_experts):
        row = read(module, index)
        gate_up, down = experts.gate_up_proj[index], experts.down_proj[index]
        gate_up.copy_(row[: gate_up.numel()].view_as(gate_up))
        down.copy_(row[gate_up.numel() :][: down.numel()].view_as(down))
    return experts


def _read_nf4(module: Any, index: int) -> Tensor:
    from bitsandbytes.functional import get_4bit_type

    high, low = module.packed[index] >> 4, module.packed[index] & 15
    codes = torch.stack([high, low], dim=1).flatten().long()
    scales = module.scale_codes[module.scales[index].long()]
    peaks = module.scale_peaks[index].repeat_interleave(256)[: len(scales)]
    scales = scales * peaks + module.scale_means[index]
    values: Tensor = get_4bit_type("nf4", device="cpu")[codes] * scales.repeat_interleave(64)
    return values


def _read_fp8(module: Any, index: int) -> Tensor:
    values: Tensor = module.packed[index].view(FP8).float()
    count = module.gate_up_shape[1] * module.gate_up_shape[2]
    scales = module.scales[index].repeat_interleave(torch.tensor([count, len(values) - count]))
    values.mul_(scales)
    return values


def _read_int8(module: Any, index: int) -> Tensor:
    shapes = module.gate_up_shape[1:], module.down_shape[1:]
    counts = torch.tensor([columns for rows, columns in shapes for _ in range(rows)])
    scales = module.scales[index].float().repeat_interleave(counts)
    values: Tensor = module.packed[index].float() * scales
    return values


def _read_int4(module: Any, index: int) -> Tensor:
    """By way of the product with each unit vector: the order of the bytes is torch's own."""
    parts, begin, first = [], 0, 0
    for shape in (module.gate_up_shape[1:], module.down_shape[1:]):
        matrix = Int4Matrix(*shape)
        codes = module.packed[index, begin : (begin := begin + matrix.packed_bytes)]
        scales = module.scales[index, first : (first := first + matrix.scale_count)]
        units = torch.eye(matrix.columns, dtype=torch.bfloat16)
        parts.append(matrix.product(units, codes, scales).float().t().flatten())
    return torch.cat(parts)


_READERS = {Nf4Experts: _read_nf4, Fp8Experts: _read_fp8, Int8Experts: _read_int8, Int4Experts: _read_int4}


def routed(tokens: int, hidden: int, experts: int, top_k: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    chosen = torch.stack([torch.randperm(experts)[:top_k] for _ in range(tokens)])
    return torch.randn(tokens, hidden), chosen, torch.rand(tokens, top_k)


class Operations(TorchDispatchMode):
    """What torch is asked to do, with the sizes of what comes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        made = args[-1] if result is None and args else result
        self.seen.append((str(func), getattr(made, "shape", None)))
        return result

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.seen]


def operations(module: PackedExperts, given: tuple[Tensor, Tensor, Tensor]) -> Operations:
    seen = Operations()
    with seen:
        module(*given)
    return seen
