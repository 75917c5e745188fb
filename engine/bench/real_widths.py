"""A step of the 26B model on this processor: all its layers at their real widths, with random weights."""

from __future__ import annotations

import itertools
import json
import re
import time
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from transformers import DiffusionGemmaConfig
from transformers.models.diffusion_gemma.modeling_diffusion_gemma import DiffusionGemmaTextRotaryEmbedding

from engine.bench.bench_setup import BenchSetup, Sizes
from engine.bench.report import Row, row
from engine.bench.timing import gaps, milliseconds
from engine.checkpoints import catalogue
from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.model_shape import read_shape
from engine.checkpoints.precision import Precision
from engine.diffusion.constraints import CanvasConstraints
from engine.diffusion.denoising import denoise_canvases
from engine.hardware import torch_devices
from engine.hardware.device_map import CPU_ONLY
from engine.hardware.torch_devices import computes_in_bf16
from engine.model import loading
from engine.model.diffusion_gemma import DiffusionGemma
from engine.model.load_config import LoadPlan
from engine.model.sampler_config import SamplerConfig
from engine.quantization.hf_quantizer import replace_with_packed

PRECISIONS: tuple[Precision, ...] = ("int8", "int4")
PERIOD = 6
"""After so many layers the same shapes come again, and here the same weights: they need not all fit."""
PROMPT_TOKENS = 231
LIMIT = "this processor’s limit"
TRIAL_BYTES, TRIAL_ROWS = 2**28, 1024
_LAYER = re.compile(r".*\.layers\.(\d+)")


def measure(setup: BenchSetup) -> list[Row]:
    """The limit: the most of the weights' bytes over the memory's speed, and the products over the speed of a
    large one, both measured here.
    """
    rows: list[Row] = []
    for precision in PRECISIONS:
        model = _random_model(setup.sizes, precision)
        rows += _rows(model, setup.sizes, f"{precision}, {setup.sizes.layers} layers, CPU")
    return rows


def _rows(model: DiffusionGemma, sizes: Sizes, case: str) -> list[Row]:
    checks: list[float] = []
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode(), model.cancelled_by(lambda: checks.append(time.perf_counter())):
        cache, ids = model.new_cache(), torch.randint(model.vocab_size, (PROMPT_TOKENS,), generator=generator)
        blocks = torch.split(ids, model.prefill_tokens)
        [read] = milliseconds(lambda: [model.prefill(cache, block.tolist()) for block in blocks])
        sampler = SamplerConfig(
            max_steps=sizes.slow_steps,
            t_min=0.4,
            t_max=0.8,
            entropy_bound=0.1,
            stability_threshold=1,
            confidence_threshold=0.0,
            early_stop=False,
        )
        canvases = model.open_canvases([cache])
        steps = denoise_canvases(model, canvases, sampler, [generator], [CanvasConstraints()])
        times = [time.perf_counter() for _ in steps]
    step = min(gaps(times))
    cancel = max(gaps(sorted([*checks, *times])))
    return [
        row(f"a step, {case}", "ms", step, _limit_ms(model), LIMIT),
        row(f"reading {PROMPT_TOKENS} tokens, {case}", "ms", read),
        row(f"the longest until a cancel is seen, {case}", "ms", cancel),
    ]


def _limit_ms(model: DiffusionGemma) -> float:
    core = model.text_model.model.decoder
    layers: list[Any] = list(core.layers)
    each_byte = [parameter.nbytes for layer in layers for parameter in layer.parameters()]
    embedding = core.embed_tokens.weight
    wide = torch.bfloat16 if computes_in_bf16() else torch.float32
    one, other = torch.rand(TRIAL_ROWS, 2816, dtype=wide), torch.rand(2816, TRIAL_ROWS, dtype=wide)
    multiplied = min(itertools.chain(*(milliseconds(lambda: one @ other) for _ in range(5))))
    here, there = (torch.zeros(TRIAL_BYTES, dtype=torch.uint8) for _ in range(2))
    copied = min(itertools.chain(*(milliseconds(lambda: here.copy_(there)) for _ in range(5))))
    products = model.canvas_tokens * (2 * embedding.numel() + sum(map(_products_a_token, layers)))
    limits: tuple[float, float] = (
        (sum(each_byte) + 2 * embedding.nbytes) * copied / (2 * TRIAL_BYTES),
        products * multiplied / (TRIAL_ROWS * 2816 * TRIAL_ROWS),
    )
    return max(limits)


def _products_a_token(layer: Any) -> int:
    """Multiplications with a weight: all of the layer's but those of experts that the token is not given."""
    dense = (held.numel() for name, held in layer.named_parameters() if not name.startswith("experts."))
    return int(sum(dense) + layer.router.config.top_k_experts * layer.experts.used_values)


def _random_model(sizes: Sizes, precision: Precision) -> DiffusionGemma:
    config = json.loads((catalogue.GEMMA_26B.describes / "config.json").read_text("utf-8"))
    text = config["text_config"]
    text |= {
        "num_hidden_layers": sizes.layers,
        "layer_types": text["layer_types"][-sizes.layers :],
        "num_experts": sizes.experts,
        "top_k_experts": min(sizes.experts, text["top_k_experts"]),
        "vocab_size": sizes.sampler_vocab,
    }
    with torch.device("meta"):
        model: Any = loading.TextModel(DiffusionGemmaConfig(**config | {"canvas_length": sizes.sampler_rows}))
    model.set_attn_implementation("sdpa")
    replace_with_packed(model.to(torch.bfloat16), precision)
    _fill(model)
    starter = Checkpoint.open(catalogue.STARTER.folder)  # whose tokenizer stands in: no text is read
    device = next(device for device in torch_devices.devices() if device.id == "cpu")
    with patch.object(loading, "load", lambda *_: (model, 0)):
        made = DiffusionGemma(LoadPlan(starter, device, precision, 1, CPU_ONLY))
    made.prefill_tokens = read_shape(catalogue.GEMMA_26B.describes).block_tokens
    return made


def _fill(model: Any) -> None:
    """In place of meta tensors; those that the library ties, and each sixth layer, share theirs."""
    filled: dict[str, torch.nn.Parameter] = {}
    for path, module in model.named_modules():
        for name, empty in list(module.named_parameters(recurse=False)):
            key = _LAYER.sub(lambda found: f"layer {int(found[1]) % PERIOD}", f"{path}.{name}")
            key = "embedding" if len(empty) == model.config.text_config.vocab_size else key
            if key not in filled:
                filled[key] = torch.nn.Parameter(_random(empty), requires_grad=False)
            setattr(module, name, filled[key])
        if isinstance(module, DiffusionGemmaTextRotaryEmbedding):
            for name, buffer in type(module)(module.config).named_buffers():
                setattr(module, name, buffer)
        for name, buffer in list(module.named_buffers(recurse=False)):
            if buffer.is_meta:
                setattr(module, name, torch.tensor([getattr(module, "scalar_embed_scale", 1.0)]))


def _random(empty: Tensor) -> Tensor:
    tensor = torch.empty(empty.shape, dtype=empty.dtype)
    if empty.is_floating_point():
        return tensor.uniform_(-0.03, 0.03)
    return tensor.random_(0, 127)
