"""Compiles the fused experts' kernels for cards that need not be here, as the real model launches them.

`compile_kernels.py nf4 86 89`: how the experts are packed, and the cards' compute capabilities, times 10.
Prints JSON: what each kernel needs.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import triton
from transformers import DiffusionGemmaConfig
from transformers.models.diffusion_gemma.modeling_diffusion_gemma import DiffusionGemmaTextExperts
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from engine.checkpoints import catalogue
from engine.quantization.kernels import fused_fp8, fused_nf4
from engine.quantization.packed_experts import ScratchBuffer

TYPES = {
    torch.uint8: "*u8",
    torch.int64: "*i64",
    torch.float32: "*fp32",
    torch.bfloat16: "*bf16",
    torch.float8_e4m3fn: "*fp8e4nv",
}
MODULES: dict[str, Any] = {"nf4": fused_nf4, "fp8": fused_fp8}
EXPERTS: dict[str, Any] = {"nf4": fused_nf4.FusedNf4Experts, "fp8": fused_fp8.FusedFp8Experts}
PRODUCTS = ("gate_up", "down")


class Launches:
    """Stands in for a kernel, to learn what it is launched with."""

    def __init__(self) -> None:
        self.arguments: list[tuple[Any, ...]] = []

    def __getitem__(self, grid: Any) -> Any:
        def keep(*arguments: Any) -> None:
            self.arguments.append(arguments)

        return keep


def launches(packing: str) -> dict[str, tuple[Any, ...]]:
    """Product → the kernel's arguments for one canvas of the real model."""
    kept = MODULES[packing]._multiply = Launches()
    config: Any = DiffusionGemmaConfig.from_pretrained(catalogue.GEMMA_26B.describes).text_config
    with torch.device("meta"):
        experts: Any = DiffusionGemmaTextExperts(config)
        module = EXPERTS[packing](experts, ScratchBuffer())
        routed = torch.empty(256, config.top_k_experts)
        hidden = torch.empty(256, config.hidden_size, dtype=torch.bfloat16)
        module(hidden, routed.long(), routed)
    return dict(zip(PRODUCTS, kept.arguments, strict=True))


def compiled(kernel: Any, arguments: tuple[Any, ...], capability: int) -> dict[str, int]:
    signature, constants, aligned = {}, {}, {}
    for place, (name, value) in enumerate(zip(kernel.arg_names, arguments, strict=True)):
        if isinstance(value, torch.Tensor):
            signature[name] = TYPES[value.dtype]
            aligned[place,] = [["tt.divisibility", 16]]
        else:
            signature[name] = "constexpr"
            constants[place,] = value
    source = ASTSource(kernel, signature, constants, aligned)
    result = triton.compile(source, target=GPUTarget("cuda", capability, 32))
    return {
        "tensor_core_products": result.asm["ptx"].count("mma.sync"),
        "shared_bytes": result.metadata.shared,
        "spilled_bytes": spilled_bytes(result.asm["cubin"]),
    }


def spilled_bytes(cubin: bytes) -> int:
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        told = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=True)
    stack, local = re.findall(r"(?:STACK|LOCAL):(\d+)", told.stdout)
    return int(stack) + int(local)


if __name__ == "__main__":
    packing, *capabilities = sys.argv[1:]
    kernel = MODULES[packing]._multiply
    launched = launches(packing)
    needs = {
        capability: {
            name: compiled(kernel, arguments, int(capability)) for name, arguments in launched.items()
        }
        for capability in capabilities
    }
    print(json.dumps(needs))
