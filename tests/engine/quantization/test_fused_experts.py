"""The kernels of fused experts: in Triton's interpreter against torch, and compiled for cards."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from transformers.activations import GELUTanh

from engine.checkpoints import catalogue
from engine.checkpoints.precision import Precision
from engine.quantization.fp8 import Fp8Experts
from engine.quantization.nf4 import Nf4Experts
from engine.quantization.packed_experts import PackedExperts
from tests.engine.quantization.packed import (
    Operations,
    experts_of,
    load_packed,
    operations,
    pack,
    routed,
    unpack,
)

pytest.importorskip("triton", reason="Triton is for Linux only")

from engine.quantization.kernels import fused_experts, fused_fp8, fused_nf4
from engine.quantization.kernels.fused_experts import FUSED, use_fused_experts

HERE = Path(__file__).parent


KINDS = pytest.mark.parametrize("kind", FUSED)
Kind = type[PackedExperts]


def fused(kind: Kind, count: int, hidden: int, width: int) -> tuple[Any, Any]:
    experts = experts_of(count, hidden, width)
    module: Any = pack(experts, kind=kind)
    module.__class__ = FUSED[kind]
    return module, experts


@KINDS
@pytest.mark.parametrize(
    ("count", "hidden", "width", "tokens"),
    [(4, 256, 160, 9), (4, 64, 64, 1), (16, 128, 32, 3), (3, 96, 64, 70), (40, 64, 32, 5), (2, 32, 320, 33)],
)
def test_fused_experts_compute_what_their_unpacked_weights_do(
    kind: Kind, count: int, hidden: int, width: int, tokens: int
) -> None:
    torch.manual_seed(count)
    module, experts = fused(kind, count, hidden, width)
    given = routed(tokens, hidden, count)
    expected = unpack(module, experts)(*given)
    torch.testing.assert_close(module(*given), expected, rtol=1e-5, atol=1e-5)
    half = module(given[0].half(), *given[1:])  # the interpreter has no bf16 products
    assert half.dtype == torch.half
    assert (half - expected).norm() < 0.003 * expected.norm()


@KINDS
def test_all_tokens_of_one_expert_and_none_of_the_others(kind: Kind) -> None:
    torch.manual_seed(3)
    module, experts = fused(kind, 5, 64, 32)
    hidden = torch.randn(80, 64)
    given = hidden, torch.full((80, 1), 3), torch.rand(80, 2)[:, :1]  # a column: not contiguous
    torch.testing.assert_close(module(hidden.t().contiguous().t(), *given[1:]), module(*given))
    torch.testing.assert_close(module(*given), unpack(module, experts)(*given), rtol=1e-5, atol=1e-6)


@KINDS
def test_experts_that_were_not_hit_are_not_read(kind: Kind) -> None:
    module, _ = fused(kind, 16, 64, 32)
    given = routed(3, 64, 16)
    expected = module(*given)
    unhit = [index for index in range(16) if index not in given[1]]
    for name, tensor in module.named_parameters():
        if tensor.is_floating_point() and len(tensor) == 16:
            tensor[unhit] = torch.nan
            assert "scale" in name
    assert torch.equal(module(*given), expected)


@KINDS
@pytest.mark.parametrize("tokens", [1, 40])
def test_the_operations_do_not_grow_with_the_experts_and_wait_for_nothing(kind: Kind, tokens: int) -> None:
    few, many = (operations(fused(kind, n, 64, 32)[0], routed(tokens, 64, n)) for n in (3, 24))
    assert seen(few) == seen(many)
    waits = ("_local_scalar_dense", "nonzero", "unique", "masked_select", "_to_copy", "item", "equal")
    assert not [name for name in seen(many) if any(wait in name for wait in waits)]


def seen(of: Operations) -> list[str]:
    """Without what the interpreter does to run a kernel: it copies everything to the processor and back."""
    names = [name for name in of.names if "aten.detach" not in name]
    return [name for name in names if not name.startswith(("aten.copy_", "aten.set_", "aten.empty_like"))]


# ------------------------------------------------------------------ the trial


class Layers(nn.Module):
    def __init__(self, *sizes: int, kind: Kind = Nf4Experts) -> None:
        super().__init__()
        self.one, self.two = (pack(experts_of(4, *sizes), kind=kind) for _ in range(2))


@KINDS
def test_layers_are_fused_where_the_kernels_agree_with_unpacking(kind: Kind) -> None:
    layers = Layers(64, 32, kind=kind)
    assert use_fused_experts(layers, 2, torch.float32)
    assert type(layers.one) is type(layers.two) is FUSED[kind]


@KINDS
@pytest.mark.parametrize("broken", [torch.nan, 1.1])
def test_kernels_that_deviate_are_not_used(
    kind: Kind, broken: float, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    layers, product = Layers(64, 32, kind=kind), FUSED[kind].forward
    monkeypatch.setattr(FUSED[kind], "forward", lambda *given: product(*given) * broken)
    with caplog.at_level(logging.WARNING):
        assert not use_fused_experts(layers, 2, torch.float32)
    assert "deviate" in caplog.text
    caplog.clear()
    assert type(layers.one) not in FUSED.values()


def test_without_a_compiler_experts_are_unpacked(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("Failed to find C compiler")

    layers = Layers(64, 32)
    monkeypatch.setattr(fused_nf4.FusedNf4Experts, "forward", fail)
    with caplog.at_level(logging.WARNING):
        assert not use_fused_experts(layers, 2, torch.float32)
    assert "C compiler" in caplog.text
    caplog.clear()
    assert type(layers.one) not in FUSED.values()


def test_kernels_are_tried_on_each_device(monkeypatch: pytest.MonkeyPatch) -> None:
    layers, tried = Layers(64, 32), []
    layers.two.to("meta")

    def deviation(experts: PackedExperts, *_: Any) -> float:
        tried.append(experts.packed.device.type)
        return torch.nan if experts is layers.two else 0.0

    monkeypatch.setattr(fused_experts, "_deviation", deviation)
    monkeypatch.setattr(fused_experts.log, "warning", lambda *_: None)
    assert not use_fused_experts(layers, 2, torch.float32)
    assert tried == ["cpu", "meta"]


class OnACard(Nf4Experts):
    """There is none: it has no weights, and its trial fails."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.__dict__["packed"] = SimpleNamespace(device=torch.device("cuda", 1))
        self.parts = 1


@pytest.fixture
def trial_on_a_card(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], bool]:
    """Of experts on a card, with what the trial says and then, unless that is empty, the card."""

    def trial(said: str, then: str) -> bool:
        def fail(*_: Any) -> None:
            raise RuntimeError(said)

        def synchronize(device: torch.device) -> None:
            assert device == torch.device("cuda", 1)
            if then:
                raise torch.AcceleratorError(then)

        monkeypatch.setattr(fused_experts, "_deviation", fail)
        monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
        return use_fused_experts(OnACard(), 2, torch.bfloat16)

    monkeypatch.setattr(fused_experts, "_suits", lambda _: True)
    monkeypatch.setitem(FUSED, OnACard, OnACard)
    return trial


@pytest.mark.parametrize(
    "said",
    [
        "Triton Error [CUDA]: device kernel image is invalid",
        "Triton Error [CUDA]: the provided PTX was compiled with an unsupported toolchain.",
        "CUDA error: invalid argument",
    ],
)
def test_a_driver_that_refuses_the_kernels_costs_speed_alone(
    said: str, trial_on_a_card: Callable[[str, str], bool], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert not trial_on_a_card(said, "")
    assert said in caplog.text
    caplog.clear()


def test_a_lost_device_is_not_taken_for_a_missing_compiler(
    trial_on_a_card: Callable[[str, str], bool],
) -> None:
    with pytest.raises(torch.AcceleratorError, match="illegal"):
        trial_on_a_card("Triton Error [CUDA]: unspecified", "CUDA error: an illegal memory access")


def test_memory_that_runs_out_in_the_trial_ends_the_load(
    trial_on_a_card: Callable[[str, str], bool],
) -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        trial_on_a_card("Triton Error [CUDA]: out of memory", "")


@pytest.mark.parametrize(("capability", "suits"), [((7, 5), False), ((8, 0), True), ((12, 0), True)])
def test_cards_without_the_tensor_cores_of_ampere_unpack(
    capability: tuple[int, int], suits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    experts: Any = SimpleNamespace(
        packed=SimpleNamespace(device=torch.device("cuda")),
        act_fn=GELUTanh(),
        gate_up_shape=(4, 64, 64),
        down_shape=(4, 64, 32),
    )
    assert fused_experts._suits(experts) is suits


@pytest.mark.usefixtures("as_on_a_gpu")
def test_what_the_trial_unpacked_is_given_back() -> None:
    layers = Layers(64, 32)
    layers.two.scratch = layers.one.scratch
    assert use_fused_experts(layers, 2, torch.float32)
    assert not layers.one.scratch._buffers


def test_rows_that_share_scales_are_not_fused(caplog: pytest.LogCaptureFixture) -> None:
    assert not use_fused_experts(Layers(40, 24), 2, torch.float32)
    other = Layers(64, 32)
    other.two.act_fn = nn.SiLU()
    assert not use_fused_experts(other, 2, torch.float32)
    assert not use_fused_experts(nn.Linear(2, 2), 2, torch.float32)
    assert not caplog.text


@pytest.mark.parametrize(("precision", "kind"), [("4-bit", Nf4Experts), ("fp8", Fp8Experts)])
def test_the_bundled_model_reads_a_text_the_same(precision: Precision, kind: Kind) -> None:
    model = load_packed(catalogue.STARTER.folder, precision)
    encoder, ids = model.model.encoder.language_model, torch.arange(50, 58)[None]
    expected = encoder(input_ids=ids).last_hidden_state
    assert use_fused_experts(model, 2, torch.float32)
    assert type(model.model.decoder.layers[0].experts) is FUSED[kind]
    torch.testing.assert_close(encoder(input_ids=ids).last_hidden_state, expected, rtol=1e-3, atol=1e-3)


# ------------------------------------------------------------------ compiled


@pytest.mark.parametrize("packing", ["nf4", "fp8"])
def test_the_kernels_of_the_real_model_compile(packing: str) -> None:
    """For tensor cores, with a few registers spilled at most, within the memory that such cards share out."""
    capabilities = {"nf4": ["80", "86", "89", "90", "120"], "fp8": ["89", "90", "120"]}[packing]
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = str(HERE.parents[2])
    command = [sys.executable, str(HERE / "compile_kernels.py"), packing, *capabilities]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 0, result.stderr
    cards = json.loads(result.stdout)
    assert list(cards) == capabilities
    for products in cards.values():
        assert list(products) == ["gate_up", "down"]
        for kernel in products.values():
            assert kernel["tensor_core_products"] > 0
            assert kernel["spilled_bytes"] <= 64
            assert kernel["shared_bytes"] <= 99 * 1024


def test_the_interpreter_ran() -> None:
    assert all("Interpreted" in type(module._multiply).__name__ for module in (fused_nf4, fused_fp8))
