"""The quantization_config of a packed model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers.quantizers.auto import register_quantization_config
from transformers.utils.quantization_config import QuantizationConfigMixin

from engine.checkpoints.precision import QUANT_METHOD, Precision

FORMAT = 2  # of the packed tensors; raise it whenever their layout or meaning changes


@register_quantization_config(QUANT_METHOD)
class PackedConfig(QuantizationConfigMixin):
    """How a model is packed, as its config.json says."""

    precision: Precision
    source: str
    """The fingerprint of what was packed."""
    layout: str
    """The processor's vector units, where the order of the bytes depends on them."""
    fault: Exception | None = None
    """What ended the packing; never saved. The library would put it into a report and pack on."""

    before_expert: Callable[[], None] = staticmethod(lambda: None)
    """Is called before each expert is packed, and may raise."""

    def __init__(
        self, precision: Precision, source: str, format: int = FORMAT, layout: str | None = None, **_: Any
    ) -> None:
        if format != FORMAT:
            raise ValueError(f"packed in format {format}, which this version of Mezzotint cannot read")
        self.layout = torch.backends.cpu.get_cpu_capability() if precision == "int4" else ""
        if layout not in (None, self.layout):
            raise ValueError(f"packed for a processor with {layout}, and this one has {self.layout}")
        self.quant_method: Any = QUANT_METHOD
        self.precision = precision
        self.source = source

    def to_dict(self) -> dict[str, Any]:
        return {
            "quant_method": QUANT_METHOD,
            "precision": self.precision,
            "format": FORMAT,
            "source": self.source,
        } | ({"layout": self.layout} if self.layout else {})


def needs_bitsandbytes(precision: Precision) -> bool:
    return precision in ("4-bit", "4-bit-tight")
