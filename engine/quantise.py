"""4-bit experts: packed while they are loaded, shared by encoder and decoder, saved for the next start."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional

from engine.catalogue import INDEX, check_files
from engine.errors import EngineError
from engine.plans import Precision

os.environ["HF_HUB_OFFLINE"] = "1"  # read while transformers is imported: nothing may reach for the network

from transformers.core_model_loading import ConversionOps, WeightConverter
from transformers.integrations.moe import grouped_mm_experts_forward
from transformers.models.diffusion_gemma.modeling_diffusion_gemma import DiffusionGemmaTextRouter
from transformers.quantizers.auto import register_quantization_config, register_quantizer
from transformers.quantizers.base import HfQuantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

PACKED: tuple[Precision, ...] = ("4-bit", "4-bit-tight")
FORMAT = 2  # of the packed tensors; raise it whenever their layout or meaning changes
METHOD = "mezzotint"
BLOCK = 64  # values that share a scale
SCALES = 256  # scales that share a peak: bitsandbytes' own number
SHARD = "2GB"  # of which one at a time is copied from the device to be saved
SEAL = "fingerprint"
SAMPLES, SAMPLE_BYTES = 64, 4096

log = logging.getLogger(__name__)


# ------------------------------------------------------------------ packed modules


@dataclass
class _Unpacked:
    """What the library's grouped product wants to know of experts."""

    num_experts: int
    gate_up_proj: Tensor  # (experts, 2 · width, hidden)
    down_proj: Tensor  # (experts, hidden, width)
    act_fn: Callable[[Tensor], Tensor]
    has_gate: ClassVar[bool] = True
    has_bias: ClassVar[bool] = False
    has_post_expert_norm: ClassVar[bool] = False
    is_transposed: ClassVar[bool] = False
    _is_expert_parallel: ClassVar[bool] = False

    def _apply_gate(self, rows: Tensor) -> Tensor:
        gate, up = rows.chunk(2, dim=-1)
        return self.act_fn(gate) * up


class Scratch:
    """The one buffer that every layer unpacks its experts into; it grows to the largest."""

    def __init__(self) -> None:
        self._buffer: Tensor | None = None

    def take(self, count: int, like: Tensor) -> Tensor:
        held = self._buffer
        if held is None or len(held) < count or (held.dtype, held.device) != (like.dtype, like.device):
            self._buffer = held = None  # given back before the larger one is asked for
            self._buffer = held = torch.empty(count, dtype=like.dtype, device=like.device)
        return held[:count]


class PackedExperts(nn.Module):
    """The experts of one layer in NF4 with double-quantised scales, after bitsandbytes.

    Each expert is one row: gate and up projections, down projection, zeros up to a whole block.
    packed: two values a byte, the first one in the high half; scales: a code for each block of values;
    a block's scale is scale_codes[code] · its peak + its expert's mean.
    """

    product: Callable[..., Tensor] = staticmethod(grouped_mm_experts_forward)

    def __init__(self, experts: Any, scratch: Scratch) -> None:
        super().__init__()
        self.act_fn = experts.act_fn
        self.gate_up_shape, self.down_shape = experts.gate_up_proj.shape, experts.down_proj.shape
        self.num_experts = len(experts.gate_up_proj)
        self.gate_up_values = self.gate_up_shape[1:].numel()
        self.used_values = self.gate_up_values + self.down_shape[1:].numel()
        self.blocks = -(-self.used_values // BLOCK)
        self.row_values = self.blocks * BLOCK
        peaks = -(-self.blocks // SCALES)
        device = experts.gate_up_proj.device
        self.packed = _frozen((self.num_experts, self.row_values // 2), torch.uint8, device)
        self.scales = _frozen((self.num_experts, self.blocks), torch.uint8, device)
        self.scale_peaks = _frozen((self.num_experts, peaks), torch.float32, device)
        self.scale_means = _frozen((self.num_experts, 1), torch.float32, device)
        self.scale_codes = _frozen((256,), torch.float32, device)
        self._scratch = scratch

    def pack(self, device: torch.device, gate_up_proj: Tensor, down_proj: Tensor) -> dict[str, Tensor]:
        """This module's tensors, expert by expert: no more than one is copied or widened at a time."""
        from bitsandbytes.functional import quantize_4bit

        if (gate_up_proj.shape, down_proj.shape) != (self.gate_up_shape, self.down_shape):
            raise ValueError(f"experts of shape {tuple(gate_up_proj.shape)} and {tuple(down_proj.shape)}")
        packed = {
            name: torch.zeros(held.shape, dtype=held.dtype, device=device)
            for name, held in self.named_parameters()
        }
        for index, projections in enumerate(zip(gate_up_proj, down_proj, strict=True)):
            row = torch.cat([projection.flatten() for projection in projections]).to(device)
            row = functional.pad(row, (0, self.row_values - self.used_values))
            codes, state = quantize_4bit(row, blocksize=BLOCK, compress_statistics=True, quant_type="nf4")
            packed["packed"][index] = codes.flatten()
            packed["scales"][index] = state.absmax
            packed["scale_peaks"][index] = state.state2.absmax
            packed["scale_means"][index] = state.offset
            packed["scale_codes"].copy_(state.state2.code)
        return packed

    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        rows, places = self._hit(top_k_index)
        unpacked = self._unpack(rows, hidden_states)
        experts = _Unpacked(
            num_experts=len(unpacked),
            gate_up_proj=unpacked[:, : self.gate_up_values].view(-1, *self.gate_up_shape[1:]),
            down_proj=unpacked[:, self.gate_up_values : self.used_values].view(-1, *self.down_shape[1:]),
            act_fn=self.act_fn,
        )
        return self.product(experts, hidden_states, places, top_k_weights)

    def _hit(self, top_k_index: Tensor) -> tuple[Tensor | None, Tensor]:
        """The experts to unpack, None for all of them, and where among these each token's experts are.

        A device is never waited for: there the count is the most that so many tokens can hit. What was not
        hit comes last.
        """
        hit = torch.zeros(self.num_experts, dtype=torch.uint8, device=top_k_index.device)
        hit.scatter_(0, top_k_index.flatten(), 1)
        count = int(hit.sum()) if _on_host(hit) else min(self.num_experts, top_k_index.numel())
        if count == self.num_experts:
            return None, top_k_index
        rows = hit.argsort(descending=True, stable=True)[:count]
        return rows, (hit.cumsum(0) - 1)[top_k_index]

    def _unpack(self, rows: Tensor | None, like: Tensor) -> Tensor:
        """(rows, row_values) in the type of `like`, valid until the next layer unpacks."""
        held = (self.packed, self.scales, self.scale_peaks, self.scale_means)
        packed, codes, peaks, means = held if rows is None else (part.index_select(0, rows) for part in held)
        if lacking := -self.blocks % SCALES:  # the kernel takes all rows for one
            codes = functional.pad(codes, (0, lacking))
        kernels = torch.ops.bitsandbytes
        scales = kernels.dequantize_blockwise(codes, peaks, self.scale_codes, SCALES, torch.float32)
        scales = scales.add_(means)[:, : self.blocks].contiguous()
        shape = (len(packed), self.row_values)
        if _on_host(like):  # bitsandbytes cannot write into a given buffer there
            unpacked: Tensor = kernels.dequantize_4bit(packed, scales, BLOCK, "nf4", shape, like.dtype)
            return unpacked
        unpacked = self._scratch.take(shape[0] * shape[1], like).view(shape)
        kernels.dequantize_4bit.out(packed, scales, BLOCK, "nf4", shape, like.dtype, out=unpacked)
        return unpacked


class PackedLinear(nn.Module):
    """A linear layer in 8 bits, with a scale for each output."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = _frozen(tuple(linear.weight.shape), torch.int8, linear.weight.device)
        self.scale = _frozen((linear.out_features,), torch.float32, linear.weight.device)
        self.bias = linear.bias

    def pack(self, device: torch.device, weight: Tensor) -> dict[str, Tensor]:
        weight = weight.to(device, torch.float32)
        scale = weight.abs().amax(dim=1).div_(127).clamp_min_(torch.finfo(torch.float32).tiny)
        return {"weight": (weight / scale[:, None]).round_().to(torch.int8), "scale": scale}

    def forward(self, hidden_states: Tensor) -> Tensor:
        rows = functional.linear(hidden_states, self.weight.to(hidden_states.dtype)) * self.scale
        return (rows if self.bias is None else rows + self.bias).to(hidden_states.dtype)


def replace_layers(model: Any, precision: Precision) -> None:
    """Put packed modules, still empty, in place of those that the precision packs; also on meta tensors."""
    core, scratch = model.model, Scratch()
    for encoder, decoder in zip(core.encoder.language_model.layers, core.decoder.layers, strict=True):
        encoder.experts = decoder.experts = PackedExperts(decoder.experts, scratch)
    if precision == "4-bit-tight":
        for parent, name, linear in list(_linear_layers(core)):
            setattr(parent, name, PackedLinear(linear))
    # The library finds and saves shared tensors by these patterns, each of which has to match something.
    tied = {
        name: source
        for name, source in core._tied_weights_keys.items()
        if not name.endswith(("gate_up_proj", "down_proj"))
    }
    core._tied_weights_keys = tied | {
        r"encoder.language_model.layers\.\d+\.experts\.": r"decoder.layers\.\d+\.experts\."
    }
    model.all_tied_weights_keys = model.get_expanded_tied_weights_keys(all_submodels=True)


def _linear_layers(core: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Linear]]:
    """Not the routers': a token must not come to other experts."""
    for parent in core.modules():
        if not isinstance(parent, DiffusionGemmaTextRouter):
            for name, child in parent.named_children():
                if isinstance(child, nn.Linear):
                    yield parent, name, child


def _frozen(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape, dtype=dtype, device=device), requires_grad=False)


def _on_host(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu"


# ------------------------------------------------------------------ loading


@register_quantization_config(METHOD)
class PackedConfig(QuantizationConfigMixin):
    """How a model is packed, as its config.json says. source: the fingerprint of what was packed."""

    device = torch.device("cpu")  # where to pack; no part of what is saved

    def __init__(self, precision: Precision, source: str, format: int = FORMAT, **_: Any) -> None:
        if format != FORMAT:
            raise ValueError(f"packed in format {format}, which this version of Mezzotint cannot read")
        self.quant_method: Any = METHOD
        self.precision: Precision = precision
        self.source = source

    def to_dict(self) -> dict[str, Any]:
        return {
            "quant_method": METHOD,
            "precision": self.precision,
            "format": FORMAT,
            "source": self.source,
        }


@register_quantizer(METHOD)
class Quantiser(HfQuantizer):
    """Hands each tensor, as it is read, to the module that packs it."""

    quantization_config: PackedConfig

    def validate_environment(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        # It warns of a kernel on the Hub, which is not wanted.
        logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
        import bitsandbytes  # noqa: F401 - brings its kernels into torch.ops; takes seconds

    def _process_model_before_weight_loading(self, model: Any, **kwargs: Any) -> None:  # noqa: ARG002
        replace_layers(model, self.quantization_config.precision)

    def param_needs_quantization(self, model: Any, param_name: str, **kwargs: Any) -> bool:  # noqa: ARG002
        path, _, name = param_name.rpartition(".")
        owner = model.get_submodule(path)
        return not self.pre_quantized and (
            (isinstance(owner, PackedExperts) and name == "packed")
            or (isinstance(owner, PackedLinear) and name == "weight")
        )

    def get_weight_conversions(self) -> list[Any]:
        """Both projections of a layer's experts come together."""
        if self.pre_quantized:
            return []
        sources = ["experts.gate_up_proj", "experts.down_proj"]
        return [WeightConverter(sources, "experts.packed", [_Together()])]

    def get_quantize_ops(self) -> ConversionOps:
        return _Pack(self.quantization_config.device)

    def is_serializable(self) -> bool:
        return True

    @property
    def is_trainable(self) -> bool:
        return False


class _Together(ConversionOps):
    def convert(self, input_dict: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ARG002
        return input_dict


class _Pack(ConversionOps):
    def __init__(self, device: torch.device) -> None:
        self._device = device

    def convert(
        self,
        input_dict: dict[str, Any],
        *args: Any,  # noqa: ARG002
        full_layer_name: str = "",
        model: Any = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> dict[str, Any]:
        path = full_layer_name.rpartition(".")[0]
        tensors = {name.rpartition(".")[2]: tensor for name, (tensor,) in input_dict.items()}
        packed: dict[str, Tensor] = model.get_submodule(path).pack(self._device, **tensors)
        return {f"{path}.{name}": tensor for name, tensor in packed.items()}


def packing_available() -> bool:
    return find_spec("bitsandbytes") is not None


# ------------------------------------------------------------------ the saved copy


def prepare(
    folder: Path, precision: Precision, device: torch.device, cache: Path | None = None
) -> tuple[Path, PackedConfig | None]:
    """Where to load from, and the quantization_config to load with: None if there is nothing to pack.

    Raises input where the folder is itself a packed copy, in another precision, or nothing can be packed.
    """
    already = packed_precision(folder)
    if (already or precision in PACKED) and not packing_available():
        raise EngineError(
            "input",
            f"The precision {already or precision} needs bitsandbytes, which is not installed here.",
            "Choose bf16, or install bitsandbytes.",
        )
    if already:
        if already != precision:
            raise EngineError(
                "input",
                f"The model in {folder} is packed as {already}: it cannot be loaded as {precision}.",
                f"Choose {already}, or the folder of the original model.",
            )
        return folder, None
    if precision not in PACKED:
        return folder, None
    config = PackedConfig(precision, fingerprint(folder))
    config.device = device
    if cache and _is_whole(copy := _copy_of(folder, precision, cache), config):
        return copy, None
    return folder, config


def packed_precision(folder: Path) -> Precision | None:
    """Of a folder that holds a packed copy."""
    found = _quantization(folder).get("precision")
    return next((precision for precision in PACKED if precision == found), None)


def save(model: Any, folder: Path, cache: Path) -> None:
    """Keep the packed model, complete with what else the folder holds. Failing that, log it and go on."""
    config: PackedConfig = model.config.quantization_config
    copy = _copy_of(folder, config.precision, cache)
    unfinished = copy.with_name(copy.name + ".part")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        needed = sum(parameter.nbytes for parameter in model.parameters())
        if shutil.disk_usage(cache).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        model.save_pretrained(unfinished, max_shard_size=SHARD, save_original_format=False)
        for path in folder.iterdir():
            if path.is_file() and path.suffix != ".safetensors" and path.name not in ("config.json", INDEX):
                shutil.copy2(path, unfinished)
        (unfinished / SEAL).write_text(fingerprint(unfinished))
        for path in unfinished.iterdir():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
        shutil.rmtree(copy, ignore_errors=True)
        unfinished.rename(copy)
    except (OSError, SafetensorError) as error:
        log.warning("The packed model was not saved in %s; the next start packs it again: %s", cache, error)
        shutil.rmtree(unfinished, ignore_errors=True)


def fingerprint(folder: Path) -> str:
    """sha256 over the configuration and each weight file's name, size, header and evenly spread samples.

    The header alone would not tell a model that was trained further.
    """
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for path in check_files(folder):
        size = path.stat().st_size
        digest.update(f"\n{path.name} {size}\n".encode())
        with path.open("rb") as file:
            length = file.read(8)
            digest.update(length + file.read(int.from_bytes(length, "little")))
            for index in range(SAMPLES):
                file.seek((size - SAMPLE_BYTES) * index // (SAMPLES - 1) if size > SAMPLE_BYTES else 0)
                digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()


def _copy_of(folder: Path, precision: Precision, cache: Path) -> Path:
    return cache / f"{folder.resolve().name}-{precision}"


def _is_whole(copy: Path, config: PackedConfig) -> bool:
    if _quantization(copy) != config.to_dict():
        return False
    try:
        return (copy / SEAL).read_text() == fingerprint(copy)
    except (OSError, EngineError) as error:
        log.info("The packed copy in %s is damaged and will be made again: %s", copy, error)
        return False


def _quantization(folder: Path) -> dict[str, Any]:
    """What config.json says of how the model is packed; empty where it says nothing, or is no such file."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return {}
    found = config.get("quantization_config") if isinstance(config, dict) else None
    return found if isinstance(found, dict) else {}
