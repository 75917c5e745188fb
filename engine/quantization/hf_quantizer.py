"""The transformers quantizer that packs experts while they are loaded."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn
from transformers.core_model_loading import ConversionOps, WeightConverter
from transformers.models.diffusion_gemma.modeling_diffusion_gemma import DiffusionGemmaTextRouter
from transformers.quantizers.auto import register_quantizer
from transformers.quantizers.base import HfQuantizer

from engine.checkpoints.precision import QUANT_METHOD, Precision
from engine.hardware.device_map import DeviceMap
from engine.quantization.fp8 import Fp8Experts
from engine.quantization.int4 import Int4Experts
from engine.quantization.int8 import Int8Experts
from engine.quantization.int8_linear import Int8Linear
from engine.quantization.nf4 import Nf4Experts
from engine.quantization.packed_config import PackedConfig, needs_bitsandbytes
from engine.quantization.packed_experts import PackedExperts, ScratchBuffer

PROJECTIONS = ("experts.gate_up_proj", "experts.down_proj")
EXPERTS: dict[Precision, type[PackedExperts]] = {
    "fp8": Fp8Experts,
    "4-bit": Nf4Experts,
    "4-bit-tight": Nf4Experts,
    "int8": Int8Experts,
    "int4": Int4Experts,
}


def replace_with_packed(model: Any, precision: Precision) -> None:
    """Put packed modules, still empty, in place of those that the precision packs; also on meta tensors."""
    core, scratch = model.model, ScratchBuffer()
    for encoder, decoder in zip(core.encoder.language_model.layers, core.decoder.layers, strict=True):
        encoder.experts = decoder.experts = EXPERTS[precision](decoder.experts, scratch)
    if precision == "4-bit-tight":
        for parent, name, linear in list(_linear_layers(core)):
            setattr(parent, name, Int8Linear(linear))
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


@register_quantizer(QUANT_METHOD)
class PackingQuantizer(HfQuantizer):
    """Hands each tensor, as it is read, to the module that packs it."""

    quantization_config: PackedConfig

    def validate_environment(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        if not needs_bitsandbytes(self.quantization_config.precision):
            return
        # It warns of a kernel on the Hub, which is not wanted.
        logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
        import bitsandbytes  # noqa: F401 - brings its kernels into torch.ops; takes seconds

    def _process_model_before_weight_loading(self, model: Any, **kwargs: Any) -> None:  # noqa: ARG002
        replace_with_packed(model, self.quantization_config.precision)

    def param_needs_quantization(self, model: Any, param_name: str, **kwargs: Any) -> bool:  # noqa: ARG002
        path, _, name = param_name.rpartition(".")
        owner = model.get_submodule(path)
        return not self.pre_quantized and (
            (isinstance(owner, PackedExperts) and name == "packed")
            or (isinstance(owner, Int8Linear) and name == "weight")
        )

    def get_weight_conversions(self) -> list[Any]:
        """Both projections of a layer's experts come together."""
        if self.pre_quantized:
            return []
        # To main memory first: a layer's experts, which are not kept, would leave holes in a device's.
        return [WeightConverter(list(PROJECTIONS), "experts.packed", [_PairProjections()], force_cpu=True)]

    def get_quantize_ops(self) -> ConversionOps:
        return _Pack(self.quantization_config)

    def is_serializable(self) -> bool:
        return True

    @property
    def is_trainable(self) -> bool:
        return False


class _PairProjections(ConversionOps):
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
        placement: DeviceMap = model.device_map
        tensors = {name.rpartition(".")[2]: tensor for name, (tensor,) in input_dict.items()}
        try:
            module = model.get_submodule(path)
            module.before_part = self._config.before_expert
            packed: dict[str, Tensor] = module.pack(placement.computes_on(path), **tensors)
        except Exception as error:
            self._config.fault = error
            raise
        lies = placement.device_of(path)
        return {f"{path}.{name}": tensor.to(lies) for name, tensor in packed.items()}
