"""Packed experts: packed while they are loaded, shared by encoder and decoder, saved for the next start."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor, nn
from transformers.core_model_loading import ConversionOps, WeightConverter
from transformers.models.diffusion_gemma.modeling_diffusion_gemma import DiffusionGemmaTextRouter
from transformers.quantizers.auto import register_quantization_config, register_quantizer
from transformers.quantizers.base import HfQuantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

from engine.catalogue import INDEX, check_files, packed_copy, packed_precision
from engine.errors import EngineError
from engine.experts import Fp8Experts, Nf4Experts, PackedExperts, PackedLinear, Scratch
from engine.placement import PROCESSOR, Placement
from engine.plans import METHOD, PACKED, Precision

FORMAT = 2  # of the packed tensors; raise it whenever their layout or meaning changes
SHARD = "500MB"  # of which one at a time is copied from the device; no thread can run while it is written
SEAL = "fingerprint"
UNFINISHED = ".part"
ABANDONED_S = 600  # without a change; a save changes its folder every few seconds
SAMPLES, SAMPLE_BYTES = 64, 4096
PROJECTIONS = ("experts.gate_up_proj", "experts.down_proj")

log = logging.getLogger(__name__)


def replace_layers(model: Any, precision: Precision) -> None:
    """Put packed modules, still empty, in place of those that the precision packs; also on meta tensors."""
    core, scratch = model.model, Scratch()
    packed_experts = Fp8Experts if precision == "fp8" else Nf4Experts
    for encoder, decoder in zip(core.encoder.language_model.layers, core.decoder.layers, strict=True):
        encoder.experts = decoder.experts = packed_experts(decoder.experts, scratch)
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


# ------------------------------------------------------------------ loading


@register_quantization_config(METHOD)
class PackedConfig(QuantizationConfigMixin):
    """How a model is packed, as its config.json says. source: the fingerprint of what was packed."""

    # No part of what is saved: where to pack, and what ended that, which the library would not tell.
    placement = PROCESSOR
    fault: Exception | None = None

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
        if not needs_bitsandbytes(self.quantization_config.precision):
            return
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
        # To main memory first: a layer's experts, which are not kept, would leave holes in a device's.
        return [WeightConverter(list(PROJECTIONS), "experts.packed", [_Together()], force_cpu=True)]

    def get_quantize_ops(self) -> ConversionOps:
        return _Pack(self.quantization_config)

    def is_serializable(self) -> bool:
        return True

    @property
    def is_trainable(self) -> bool:
        return False


class _Together(ConversionOps):
    def convert(self, input_dict: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ARG002
        if lacking := set(PROJECTIONS) - input_dict.keys():
            raise ValueError(f"missing tensors: {', '.join(lacking)}")
        return input_dict


class _Pack(ConversionOps):
    def __init__(self, config: PackedConfig) -> None:
        self._config = config

    def convert(
        self,
        input_dict: dict[str, Any],
        *args: Any,  # noqa: ARG002
        full_layer_name: str = "",
        model: Any = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> dict[str, Any]:
        path = full_layer_name.rpartition(".")[0]
        device = self._config.placement.device_of(path)
        tensors = {name.rpartition(".")[2]: tensor for name, (tensor,) in input_dict.items()}
        try:
            packed: dict[str, Tensor] = model.get_submodule(path).pack(device, **tensors)
        except Exception as error:
            self._config.fault = error
            raise
        return {f"{path}.{name}": tensor for name, tensor in packed.items()}


def needs_bitsandbytes(precision: Precision) -> bool:
    return precision in ("4-bit", "4-bit-tight")


# ------------------------------------------------------------------ the saved copy


def prepare(
    folder: Path, precision: Precision, placement: Placement, cache: Path | None = None
) -> tuple[Path, PackedConfig | None]:
    """Where to load from, and the quantization_config to load with: None if there is nothing to pack.

    What saves that were cut short have left in the cache is deleted. Raises input where the folder is itself
    a packed copy, in another precision, or nothing can be packed.
    """
    if cache:
        _sweep(cache)
    already = packed_precision(folder)
    if needs_bitsandbytes(precision) and not find_spec("bitsandbytes"):
        raise EngineError(
            "input",
            f"The precision {precision} needs bitsandbytes, which is not installed here.",
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
    config = PackedConfig(precision, fingerprint(folder, dated=True))
    config.placement = placement
    if cache and _is_whole(copy := packed_copy(folder, precision, cache), config):
        return copy, None
    return folder, config


def save(model: Any, folder: Path, cache: Path) -> int:
    """Keep the packed model, complete with what else the folder holds, in place of a copy that is not whole
    → the bytes that could not be kept; why is logged.

    The library's progress hook may end it.
    """
    config: PackedConfig = model.config.quantization_config
    copy = packed_copy(folder, config.precision, cache)
    needed: int = sum(parameter.nbytes for parameter in model.parameters())
    try:
        if _is_whole(copy, config):  # another process has packed it too
            return 0
        shutil.rmtree(copy, ignore_errors=True)
        _sweep(cache)
        cache.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(cache).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with tempfile.TemporaryDirectory(
            UNFINISHED, f"{copy.name}-", cache, ignore_cleanup_errors=True
        ) as unfinished:
            _write(model, folder, Path(unfinished))
            Path(unfinished).rename(copy)
    except (OSError, SafetensorError, RuntimeError, MemoryError, EngineError) as error:
        if _is_whole(copy, config):  # it was the first to finish
            return 0
        log.warning("The packed model was not saved in %s; the next start packs it again: %s", cache, error)
        return needed
    return 0


def _write(model: Any, folder: Path, unfinished: Path) -> None:
    model.save_pretrained(unfinished, max_shard_size=SHARD, save_original_format=False)
    for path in folder.iterdir():
        if path.is_file() and path.suffix != ".safetensors" and path.name not in ("config.json", INDEX):
            shutil.copy2(path, unfinished)
    (unfinished / SEAL).write_text(fingerprint(unfinished))
    for path in unfinished.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def discard(copy: Path, fault: str) -> None:
    """A whole copy that the library cannot load: another version of it has saved it, say."""
    log.warning("The packed copy in %s cannot be loaded and is deleted: %s", copy, fault)
    shutil.rmtree(copy, ignore_errors=True)


def _sweep(cache: Path) -> None:
    for left in cache.glob("*" + UNFINISHED):
        with contextlib.suppress(OSError):  # another process has just deleted or renamed it
            changed = max(path.stat().st_mtime for path in (left, *left.iterdir()))
            if time.time() - changed > ABANDONED_S:
                shutil.rmtree(left)


def fingerprint(folder: Path, *, dated: bool = False) -> str:
    """sha256 over the configuration and each weight file's name, size, header and evenly spread samples.

    The header alone would not tell a model that was trained further. dated: and over when each weight file
    was changed last, which tells a change between the samples; a packed copy may be moved.
    """
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    if (defaults := folder / "generation_config.json").is_file():
        digest.update(defaults.read_bytes())
    for path in check_files(folder):
        size = path.stat().st_size
        changed = path.stat().st_mtime_ns if dated else ""
        digest.update(f"\n{path.name} {size} {changed}\n".encode())
        with path.open("rb") as file:
            length = file.read(8)
            digest.update(length + file.read(int.from_bytes(length, "little")))
            for index in range(SAMPLES):
                file.seek((size - SAMPLE_BYTES) * index // (SAMPLES - 1) if size > SAMPLE_BYTES else 0)
                digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()


def _is_whole(copy: Path, config: PackedConfig) -> bool:
    if not copy.is_dir():
        return False
    try:
        if json.loads((copy / "config.json").read_bytes())["quantization_config"] != config.to_dict():
            return False
        return (copy / SEAL).read_text() == fingerprint(copy)
    except (OSError, ValueError, TypeError, LookupError, EngineError) as error:
        log.info("The packed copy in %s is damaged and will be made again: %s", copy, error)
        return False
