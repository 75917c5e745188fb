"""Each replaced module against the library's own class with the same weights."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import DiffusionGemmaConfig
from transformers.activations import GELUTanh
from transformers.cache_utils import DynamicCache
from transformers.models.diffusion_gemma.modeling_diffusion_gemma import (
    DiffusionGemmaDecoderTextAttention,
    DiffusionGemmaEncoderTextAttention,
    DiffusionGemmaRMSNorm,
    DiffusionGemmaTextExperts,
)

from engine.model import fast_modules
from engine.model.canvas_cache import CanvasCache
from engine.model.loading import TextModel

HIDDEN, EXPERTS = 32, 5

dtypes = st.sampled_from([torch.float32, torch.bfloat16])
seeds = st.integers(0, 2**32)
magnitudes = st.integers(-30, 15).map(lambda exponent: 10.0**exponent)


def replaced(module: Any) -> Any:
    ours = copy.deepcopy(nn.ModuleList([module, nn.Linear(1, 1)]))  # a model has parameters
    fast_modules.replace_modules(ours, torch.device("cpu"))
    return ours[0]


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def assert_as_exact(ours: Tensor, theirs: Tensor, exact: Tensor, units: float = 4.0) -> None:
    """Ours errs no more than the library does, give or take some units in the last place of the largest."""
    assert ours.dtype == theirs.dtype
    unit = torch.finfo(theirs.dtype).eps * exact.abs().amax().item()
    allowed = (theirs.double() - exact).abs().amax().item() + units * unit
    assert (ours.double() - exact).abs().amax().item() <= allowed


# ------------------------------------------------------------------ norm


def norms(with_scale: bool, dtype: torch.dtype, seed: int) -> dict[str, Any]:
    theirs: Any = DiffusionGemmaRMSNorm(HIDDEN, eps=1e-6, with_scale=with_scale).requires_grad_(False)
    if with_scale:
        theirs.weight.copy_(normal(seed + 1, HIDDEN) * 3)
    theirs.to(dtype)
    fused = copy.deepcopy(theirs)
    fused.__class__ = fast_modules._FusedRMSNorm  # what other devices get; it runs on this one, too
    return {"library": theirs, "cpu": replaced(theirs), "fused": fused}


@given(st.booleans(), dtypes, magnitudes, magnitudes, seeds)
@example(True, torch.float32, 1e15, 1e-30, 0)
@example(True, torch.bfloat16, 1e-3, 1e-3, 0)
def test_norms_are_the_librarys(
    with_scale: bool, dtype: torch.dtype, one: float, other: float, seed: int
) -> None:
    """Rows of one magnitude, of another, of both, and of zeros."""
    hidden = normal(seed, 4, 3, HIDDEN)
    hidden[0] *= one
    hidden[1] *= other
    hidden[2, :, ::2] *= one
    hidden[3] = 0
    hidden = hidden.to(dtype)
    given_hidden = hidden.clone()
    variants = norms(with_scale, dtype, seed)
    theirs = variants["library"](hidden)
    for name in ("cpu", "fused"):
        ours = variants[name](hidden)
        assert torch.equal(hidden, given_hidden), f"{name} writes over what it is given"
        rtol = 4e-6 if dtype == torch.float32 else torch.finfo(dtype).eps  # one unit in the last place
        torch.testing.assert_close(ours, theirs, rtol=rtol, atol=0, msg=name)


def test_both_kinds_of_norm_are_at_hand() -> None:
    kinds = {name: type(norm) for name, norm in norms(True, torch.float32, 0).items()}
    assert kinds == {
        "library": DiffusionGemmaRMSNorm,
        "cpu": fast_modules._CpuRMSNorm,
        "fused": fast_modules._FusedRMSNorm,
    }


# ------------------------------------------------------------------ experts


def experts(dtype: torch.dtype, seed: int) -> DiffusionGemmaTextExperts:
    config: Any = DiffusionGemmaConfig(
        text_config={"hidden_size": HIDDEN, "moe_intermediate_size": 16, "num_experts": EXPERTS}
    ).text_config
    config._experts_implementation = "eager"
    theirs: Any = DiffusionGemmaTextExperts(config).requires_grad_(False)
    theirs.gate_up_proj.copy_(normal(seed + 1, *theirs.gate_up_proj.shape))
    theirs.down_proj.copy_(normal(seed + 2, *theirs.down_proj.shape))
    return theirs.to(dtype)  # type: ignore[no-any-return]


@given(
    dtypes,
    st.lists(st.permutations(range(EXPERTS)), min_size=1, max_size=20),
    st.integers(1, EXPERTS),
    st.sampled_from([1e-20, 1e-3, 1.0, 30.0, 1e6]),
    seeds,
)
@example(torch.float32, [[2, 0, 1, 3, 4]] * 7, 1, 1.0, 0)  # one expert has all rows
def test_experts_are_the_librarys(
    dtype: torch.dtype, chosen: list[list[int]], top_k: int, magnitude: float, seed: int
) -> None:
    index = torch.tensor(chosen)[:, :top_k]
    weights = normal(seed, *index.shape).abs() + 0.01  # the router's are fp32
    hidden = (normal(seed + 3, len(index), HIDDEN) * magnitude).to(dtype)
    theirs = experts(dtype, seed)
    ours = replaced(theirs)
    assert type(ours) is fast_modules._CpuExperts
    exact = copy.deepcopy(theirs).double()(hidden.double(), index, weights.double())
    assert_as_exact(ours(hidden, index, weights), theirs(hidden, index, weights), exact, units=8)


# ------------------------------------------------------------------ GELU


@given(dtypes, st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=1, max_size=20), magnitudes, seeds)
@example(torch.float32, [0.0, -0.0, 1e-45, -1e-45, 88.0, -88.0, 1e20, -1e20], 1.0, 0)
def test_gelu_is_the_librarys(dtype: torch.dtype, values: list[float], magnitude: float, seed: int) -> None:
    gate = torch.cat((torch.tensor(values), normal(seed, 16) * magnitude, normal(seed, 99) * 4)).to(dtype)
    given_gate = gate.clone()
    ours = fast_modules._Gelu()(gate)
    theirs = GELUTanh()(gate)
    assert torch.equal(gate, given_gate), "the gate is written over"
    torch.testing.assert_close(ours, theirs, rtol=2e-6, atol=2e-7)
    if dtype == torch.float32:
        exact = torch.nn.functional.gelu(gate.double(), approximate="tanh").float()
        torch.testing.assert_close(ours, exact, rtol=1e-5, atol=1e-7)


# ------------------------------------------------------------------ attention


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("prefix", [1, 9, 15, 40])
@pytest.mark.parametrize("layer", [0, 1])
def test_attention_joins_prefix_and_canvas_as_the_library_does(
    tiny_library: Any, layer: int, prefix: int, dtype: torch.dtype
) -> None:
    theirs = copy.deepcopy(tiny_library.model.decoder.layers[layer].self_attn).to(dtype)
    theirs.config = copy.copy(theirs.config)
    theirs.config._attn_implementation = "sdpa"
    ours = copy.deepcopy(theirs)
    ours.__class__ = fast_modules._CanvasAttention  # its norms stay, so that both are equal bit by bit
    text = tiny_library.config.text_config
    cache = DynamicCache(config=text)
    for n in range(2):
        keys, values = normal(n, 2, 2, prefix, 16).to(dtype), normal(n + 9, 2, 2, prefix, 16).to(dtype)
        cache.update(keys, values, n)
    hidden = normal(5, 2, 16, HIDDEN).to(dtype)
    rotary = normal(6, 2, 16, 16).to(dtype), normal(7, 2, 16, 16).to(dtype)
    expected = theirs(hidden, rotary, None, past_key_values=cache)[0]
    alone: list[Any] = [copy.deepcopy(cache), copy.deepcopy(cache)]
    for row, one in enumerate(alone):
        for each in one.layers:
            each.keys, each.values = each.keys[row : row + 1], each.values[row : row + 1]
    canvases = CanvasCache(alone, text.layer_types, text.sliding_window, 16)
    given_mask = canvases.masks[text.layer_types[layer]]
    got = ours(hidden, rotary, given_mask, past_key_values=canvases)[0]
    assert given_mask is None
    assert torch.equal(got, expected)


# ------------------------------------------------------------------ which are replaced


def kinds_of(model: nn.Module) -> set[type[nn.Module]]:
    return {type(module) for module in model.modules()}


LIBRARYS: set[Any] = {
    DiffusionGemmaRMSNorm,
    DiffusionGemmaDecoderTextAttention,
    DiffusionGemmaTextExperts,
    GELUTanh,
}


def test_on_a_processor_all_are_replaced_and_no_weight_moves(tiny_library: Any) -> None:
    model = copy.deepcopy(tiny_library)
    before = {name: parameter.data_ptr() for name, parameter in model.named_parameters()}
    fast_modules.replace_modules(model, next(model.parameters()).device)
    assert not LIBRARYS & kinds_of(model)
    assert {
        fast_modules._CpuRMSNorm,
        fast_modules._CanvasAttention,
        fast_modules._CpuExperts,
        fast_modules._Gelu,
        DiffusionGemmaEncoderTextAttention,
    } <= kinds_of(model)
    assert before == {name: parameter.data_ptr() for name, parameter in model.named_parameters()}


def test_on_other_devices_the_librarys_experts_and_activation_stay(tiny_library: Any) -> None:
    with torch.device("meta"):
        model = TextModel(tiny_library.config)
    fast_modules.replace_modules(model, next(model.parameters()).device)
    kinds = kinds_of(model)
    assert {
        fast_modules._FusedRMSNorm,
        fast_modules._CanvasAttention,
        DiffusionGemmaTextExperts,
        GELUTanh,
    } <= kinds
    assert (
        not {fast_modules._CpuRMSNorm, fast_modules._CpuExperts, fast_modules._Gelu, DiffusionGemmaRMSNorm}
        & kinds
    )
