"""A configuration is read as the library reads it, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion

from engine.checkpoints import catalogue, model_shape
from engine.protocol.errors import FaultError

SMALL: dict[str, Any] = {
    "vocab_size": 99,
    "hidden_size": 32,
    "intermediate_size": 48,
    "moe_intermediate_size": 16,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "num_experts": 3,
    "top_k_experts": 2,
}
FULL_FIRST = ["full_attention", "sliding_attention", "full_attention"]


def count(shape: model_shape.ModelShape) -> model_shape.WeightCounts:
    parts = [*(layer.weights for layer in shape.layers), shape.ends]
    return model_shape.WeightCounts(
        *(sum(getattr(part, name) for part in parts) for name in ("experts", "linear", "rest", "linear_rows"))
    )


def count_by_library(folder: Path) -> model_shape.WeightCounts:
    """The parameters of the library's own model; no memory is taken."""
    with torch.device("meta"):
        model: Any = DiffusionGemmaForBlockDiffusion(DiffusionGemmaConfig.from_pretrained(folder))
    model.tie_weights()
    experts = linear = rest = rows = 0
    for name, parameter in model.named_parameters():
        if "vision" in name:
            continue
        if ".experts." in name:
            experts += parameter.numel()
        elif parameter.ndim == 2 and "embed_tokens" not in name and "router" not in name:
            linear += parameter.numel()
            rows += len(parameter)
        else:
            rest += parameter.numel()
    return model_shape.WeightCounts(experts, linear, rest, rows)


@pytest.mark.parametrize("folder", [catalogue.STARTER.describes, catalogue.GEMMA_26B.describes])
def test_a_configuration_is_counted_as_the_library_builds_it(folder: Path) -> None:
    assert count(model_shape.read_shape(folder)) == count_by_library(folder)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"global_head_dim": 24},
        {"global_head_dim": 24, "num_global_key_value_heads": 1},
        {"num_hidden_layers": 3, "layer_types": FULL_FIRST},
        {"num_hidden_layers": 4, "global_head_dim": 24},
        {"per_layer_config": {"05": {"num_key_value_heads": 1, "head_dim": 8}}},
        {"per_layer_config": {}},
    ],
)
def test_any_configuration_is_read_as_the_library_reads_it(
    more: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As somebody writes it, and as the library saves it."""
    written, saved = tmp_path / "written", tmp_path / "saved"
    written.mkdir()
    text = SMALL | more
    (written / "config.json").write_text(
        json.dumps({"model_type": "diffusion_gemma", "text_config": text, "vision_config": {}})
    )
    config: Any = DiffusionGemmaConfig.from_pretrained(written)
    config.save_pretrained(saved)
    expected = count_by_library(written)
    for folder in (written, saved):
        shape = model_shape.read_shape(folder)
        assert count(shape) == expected
        per_layer = [config.text_config.per_layer_config[index] for index in range(len(shape.layers))]
        assert [layer.kv for layer in shape.layers] == [
            2 * layer.num_key_value_heads * layer.head_dim for layer in per_layer
        ]
    caplog.clear()  # the library tells that the last layer has to be a full one


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"text_config": {"vocab_size": 5}}',
        json.dumps({"text_config": SMALL | {"hidden_size": "many"}}),
        json.dumps({"text_config": SMALL | {"layer_types": ["full_attention"]}}),
        json.dumps({"text_config": SMALL | {"per_layer_config": {"all": {}}}}),
    ],
)
def test_what_describes_no_such_model_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(FaultError) as caught:
        model_shape.read_shape(tmp_path)
    assert caught.value.fault.kind == "weights-broken"
    assert str(tmp_path) in caught.value.fault.message


@pytest.mark.parametrize(
    "lie",
    [
        {"num_hidden_layers": 3_000_000},
        {"num_hidden_layers": 0},
        {"hidden_size": -2816},
        {"head_dim": 10**400},
        {"global_head_dim": 2**40},
        {"sliding_window": 0},
        {"num_global_key_value_heads": -1},
        {"per_layer_config": {"0": {"head_dim": -1}}},
        {"max_position_embeddings": 100},
        {"layer_types": "x"},
        {"top_k_experts": 1000},
    ],
)
def test_a_configuration_that_lies_is_refused_at_once(lie: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"text_config": SMALL | lie}))
    with pytest.raises(FaultError) as caught:
        model_shape.read_shape(tmp_path)
    assert caught.value.fault.kind == "weights-broken"


@pytest.mark.parametrize("packing", [{"quant_method": "bitsandbytes", "load_in_4bit": True}, {}])
def test_what_another_program_packed_is_refused(packing: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"text_config": SMALL, "quantization_config": packing}))
    with pytest.raises(FaultError, match="Another program packed") as caught:
        model_shape.read_shape(tmp_path)
    assert caught.value.fault.kind == "weights-broken"


def test_a_long_configuration_is_read_in_one_go(tmp_path: Path) -> None:
    """Not once for each layer."""
    many = {"num_hidden_layers": 1024, "per_layer_config": {str(key): {} for key in range(100_000)}}
    (tmp_path / "config.json").write_text(json.dumps({"text_config": SMALL | many}))
    reads = 0

    class Counted(dict[str, model_shape._LayerOverride]):
        def items(self) -> Any:
            nonlocal reads
            reads += 1
            return super().items()

    config = msgspec.json.decode((tmp_path / "config.json").read_bytes(), type=model_shape._ModelConfig)
    config.text_config.per_layer_config = Counted(config.text_config.per_layer_config or {})
    assert len(model_shape._shape(config).layers) == 1024
    assert reads == 1


def test_a_configuration_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"more": ' + "[" * 10**6)
    with pytest.raises(FaultError) as caught:
        model_shape.read_shape(tmp_path)
    assert caught.value.fault.kind == "weights-broken"


def test_a_folder_without_a_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FaultError) as caught:
        model_shape.read_shape(tmp_path)
    assert caught.value.fault.kind == "weights-missing"


@pytest.mark.parametrize(
    ("experts", "top_k", "canvas", "block"),
    [(128, 8, 256, 256), (128, 8, 300, 256), (128, 8, 64, 128), (4, 2, 256, 128), (2**20, 1, 256, 256)],
)
def test_a_processor_reads_as_many_tokens_as_give_each_expert_some(
    experts: int, top_k: int, canvas: int, block: int
) -> None:
    text = SMALL | {"num_experts": experts, "top_k_experts": top_k}
    written = json.dumps({"text_config": text, "canvas_length": canvas}).encode()
    assert model_shape.parse_shape(written, Path("config.json")).block_tokens == block
