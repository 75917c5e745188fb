"""The bundled model, packed."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.precision import PACKED_PRECISIONS
from engine.quantization.int8_linear import Int8Linear
from engine.text.tokenizer import Tokenizer
from tests.engine.quantization.conftest import STARTER, expert_tensors
from tests.engine.quantization.packed import (
    load,
    load_packed,
)

TEXT = (
    "The kettle had just begun to sing when someone knocked at the back door. Anna put down her cup and"
    " listened. Nobody ever came that way in winter, because the path was steep and the gate was always"
    " locked. She took the lamp from the table and went to see. An old man stood in the snow with a dog"
    " beside him. He asked whether she had some bread to spare, and a place by the fire for an hour. She"
    " looked at the dog, which was thin and very quiet, and opened the door a little wider. They sat for"
    " a while without a word. Outside the wind moved slowly through the trees, and the first stars came"
    " out above the hill. Then the man began to tell her where he had been, and why he had come back"
    " after so many years to a house that he had once been glad to leave."
)


@pytest.fixture(scope="module")
def original() -> Any:
    return load(STARTER)


@pytest.fixture(scope="module", params=PACKED_PRECISIONS)
def packed_starter(request: pytest.FixtureRequest, packed: Any) -> Any:
    return packed if request.param == "4-bit" else load_packed(STARTER, request.param)


def test_packed_experts_take_a_third_in_4_bits_and_half_in_8(packed_starter: Any, original: Any) -> None:
    share = 0.51 if packed_starter.config.quantization_config.precision in ("fp8", "int8") else 0.33
    packed_bytes = sum(tensor.nbytes for tensor in expert_tensors(packed_starter))
    assert packed_bytes <= share * sum(2 * tensor.numel() for tensor in expert_tensors(original))


def test_what_is_not_packed_keeps_its_type_and_what_is_tied_stays_tied(packed_starter: Any) -> None:
    core = packed_starter.model
    for encoder, decoder in zip(core.encoder.language_model.layers, core.decoder.layers, strict=True):
        assert encoder.experts is decoder.experts
        names = [name for name, _ in decoder.named_parameters()]
        assert names
        for name in names:
            assert encoder.get_parameter(name) is decoder.get_parameter(name), name
        assert decoder.router.proj.weight.dtype == torch.float32
    assert packed_starter.lm_head.weight is core.decoder.embed_tokens.weight
    assert packed_starter.lm_head.weight.dtype == torch.float32


def test_the_tight_precision_has_its_linear_layers_in_8_bits() -> None:
    core = load_packed(STARTER, "4-bit-tight").model
    layers = [core.decoder.self_conditioning, *(layer.mlp for layer in core.decoder.layers)]
    layers += [layer.self_attn for layer in core.decoder.layers]
    for layer in layers:
        linear = [child for name, child in layer.named_children() if name.endswith("_proj")]
        assert len(linear) >= 3
        assert all(isinstance(child, Int8Linear) and child.weight.dtype == torch.int8 for child in linear)


def test_logits_stay_close_on_held_out_text(packed_starter: Any, original: Any) -> None:
    ids = Tokenizer(STARTER).encode(TEXT)
    generator = torch.Generator().manual_seed(0)
    prompt, canvas = torch.tensor([ids[:40]]), torch.tensor([ids[40:]])
    noised = torch.rand(canvas.shape, generator=generator) < 0.4
    canvas[noised] = torch.randint(4, 4096, canvas.shape, generator=generator)[noised]
    with torch.no_grad():
        expected, logits = (
            model(input_ids=prompt, decoder_input_ids=canvas).logits[0]
            for model in (original, packed_starter)
        )
    assert torch.cosine_similarity(logits, expected, dim=-1).mean() >= 0.99
    assert not torch.equal(logits, expected)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")  # torch's own
def test_drafts_can_still_be_read(packed_starter: Any) -> None:
    """Most words are whole tokens of the tokenizer, which noise and torn words are not."""
    tokenizer = Tokenizer(STARTER)
    vocabulary = Checkpoint.open(STARTER).tokenizer()["model"]["vocab"]
    known = {token[1:] for token in vocabulary if re.fullmatch("Ġ[A-Za-z]+", token)}
    prompt = torch.tensor([tokenizer.start_ids + tokenizer.encode(TEXT[:150])])
    torch.manual_seed(0)
    output: Any = packed_starter.generate(
        input_ids=prompt, max_new_tokens=256, max_denoising_steps=24, disable_compile=True
    )
    ids = output.sequences[0, prompt.shape[1] :]
    words = re.findall("[A-Za-z]+", tokenizer._tokenizer.decode(ids, skip_special_tokens=True))
    assert len(set(words)) >= 30
    assert sum(word.lower() in known or word in known for word in words) >= 0.95 * len(words)
