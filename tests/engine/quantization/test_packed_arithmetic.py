"""What packed layers compute."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from engine.quantization.fp8 import Fp8Experts
from engine.quantization.int4 import Int4Experts, Int4Matrix
from engine.quantization.int8 import Int8Experts
from engine.quantization.int8_linear import Int8Linear
from engine.quantization.nf4 import Nf4Experts
from engine.quantization.packed_experts import PackedExperts, ScratchBuffer
from tests.engine.quantization.packed import (
    CPU,
    Operations,
    experts_of,
    operations,
    pack,
    routed,
    unpack,
)

KINDS = pytest.mark.parametrize("kind", [Nf4Experts, Fp8Experts])


Kind = type[PackedExperts]


@KINDS
@pytest.mark.parametrize(
    ("count", "hidden", "width", "tokens"),
    [(4, 256, 160, 9), (4, 32, 16, 1), (16, 64, 32, 3), (7, 40, 24, 2), (3, 24, 8, 30), (9, 136, 88, 2)],
)
def test_packed_experts_compute_what_their_unpacked_weights_do(
    place: str, kind: Kind, count: int, hidden: int, width: int, tokens: int
) -> None:
    torch.manual_seed(count)
    experts = experts_of(count, hidden, width)
    given = routed(tokens, hidden, count)
    true = experts(*given)
    module = pack(experts, kind=kind)
    expected = unpack(module, experts)(*given)
    result = module(*given)
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-6)
    close = 0.97 if kind is Nf4Experts else 0.997
    assert torch.cosine_similarity(result.flatten(), true.flatten(), dim=0) > close
    half = module(given[0].bfloat16(), *given[1:])
    assert half.dtype == torch.bfloat16
    assert (half - expected).norm() < 0.02 * expected.norm()


@pytest.mark.parametrize("bf16", ["0", "1"])
@pytest.mark.parametrize(("kind", "close"), [(Int4Experts, 0.985), (Int8Experts, 0.9998)])
@pytest.mark.parametrize(
    ("count", "hidden", "width", "tokens"),
    [(4, 256, 160, 9), (4, 32, 16, 1), (16, 64, 32, 3), (7, 40, 24, 2), (3, 24, 8, 30), (9, 136, 88, 2)],
)
def test_processors_multiply_experts_as_they_are_packed(
    kind: Kind, close: float, count: int, hidden: int, width: int, tokens: int, bf16: str, monkeypatch: Any
) -> None:
    monkeypatch.setenv("MEZZOTINT_BF16", bf16)
    torch.manual_seed(count)
    experts = experts_of(count, hidden, width)
    given = routed(tokens, hidden, count)
    true = experts(*given)
    module = pack(experts, kind=kind)
    expected = unpack(module, experts)(*given)
    assert torch.cosine_similarity(expected.flatten(), true.flatten(), dim=0) > close
    for rows in (given[0], given[0].bfloat16()):
        result = module(rows, *given[1:])
        assert result.dtype == rows.dtype
        assert (result - expected).norm() < 0.02 * expected.norm()


@pytest.mark.parametrize("spread", [1e-6, 1.0, 1e4])
def test_4_bit_weights_are_off_by_half_a_step_at_most(spread: float) -> None:
    weight = torch.randn(48, 128) * spread + 3 * spread
    matrix = Int4Matrix(48, 128)
    read = matrix.product(torch.eye(128, dtype=torch.bfloat16), *matrix.pack(weight)).float().t()
    low, high = weight.view(48, 2, 64).aminmax(dim=-1)
    steps = ((high - low) / 15).repeat_interleave(64, dim=1)
    assert ((read - weight).abs() <= steps * 0.6 + weight.abs() / 128).all()  # and what bf16 rounds


@pytest.mark.parametrize("kind", [Int4Experts, Int8Experts])
def test_a_processor_reads_only_experts_that_were_hit(kind: Kind) -> None:
    module = pack(experts_of(32, 32, 16), kind=kind)
    given = routed(3, 32, 32)
    products = [name for name in operations(module, given).names if "pack_mm" in name or "linear" in name]
    assert len(products) == 2 * len(given[1].unique())


def operations_of(kind: Kind, count: int, tokens: int) -> Operations:
    return operations(pack(experts_of(count, 32, 16), kind=kind), routed(tokens, 32, count))


@KINDS
@pytest.mark.parametrize("tokens", [1, 40])
@pytest.mark.usefixtures("as_on_a_gpu")
def test_the_number_of_operations_does_not_grow_with_the_experts(kind: Kind, tokens: int) -> None:
    few, many = (operations_of(kind, count, tokens) for count in (5, 64))
    assert abs(len(few.names) - len(many.names)) <= 12  # where all are hit there is nothing to gather
    fewer, more = (operations_of(kind, count, 1) for count in (5, 64))
    assert fewer.names == more.names


@KINDS
@pytest.mark.usefixtures("as_on_a_gpu")
def test_a_device_is_never_waited_for(kind: Kind) -> None:
    waits = ("_local_scalar_dense", "nonzero", "unique", "masked_select", "_to_cpu", "item", "equal")
    for tokens in (1, 40):
        names = operations_of(kind, 16, tokens).names
        assert not [name for name in names if any(wait in name for wait in waits)]


@KINDS
@pytest.mark.parametrize("tokens", [1, 3, 40])
def test_only_experts_that_were_hit_are_unpacked(place: str, kind: Kind, tokens: int) -> None:
    """On a device in one call, on a processor one after another."""
    module = pack(experts_of(32, 32, 16), kind=kind)
    given = routed(tokens, 32, 32)
    unpacks = "dequantize_4bit" if kind is Nf4Experts else "aten.copy_"
    calls = [shape for name, shape in operations(module, given).seen if unpacks in name]
    hit = len(given[1].unique())
    of_device = [(min(32, 2 * tokens), module.row_values)]
    assert [call for call in calls if call[-1] == module.row_values] == (
        [(1, module.row_values)] * hit if place == "processor" else of_device
    )


@KINDS
@pytest.mark.parametrize("bf16", ["0", "1"])
def test_experts_compute_in_fp32_where_there_is_no_arithmetic_for_bf16(
    kind: Kind, bf16: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEZZOTINT_BF16", bf16)
    module = pack(experts_of(8, 32, 16), kind=kind)
    rows, *routing = routed(40, 32, 8)
    assert module(rows.bfloat16(), *routing).dtype == torch.bfloat16
    near, far = (module(given, *routing).float() for given in (rows.bfloat16().float(), rows.bfloat16()))
    assert ((near.bfloat16().float() == far).all()) == (bf16 == "0")


@pytest.mark.usefixtures("as_on_a_gpu")
def test_where_nothing_unpacks_into_a_buffer_few_experts_are_unpacked_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = pack(experts_of(20, 32, 16))
    given = routed(40, 32, 20)
    expected = module(*given)
    monkeypatch.setattr("engine.quantization.nf4.UNPACKED_IN_PARTS", ("cpu",))
    calls = [shape for name, shape in operations(module, given).seen if "dequantize_4bit" in name]
    assert calls == [(count, module.row_values) for count in (8, 8, 4)]
    module.scratch.take(20 * module.row_values, given[0]).zero_()
    assert torch.equal(module(*given), expected)


@KINDS
@pytest.mark.parametrize("count", [7, 8, 16])
@pytest.mark.usefixtures("as_on_a_gpu")
def test_experts_that_are_unpacked_in_parts_give_the_same(kind: Kind, count: int) -> None:
    torch.manual_seed(count)
    module = pack(experts_of(count, 32, 16), kind=kind)
    given = routed(30, 32, count)
    expected = module(*given)
    module.parts = 4
    shapes = [shape for _, shape in operations(module, given).seen if shape and len(shape) == 2]
    assert max(rows for rows, values in shapes if values == module.row_values) == -(-count // 4)
    torch.testing.assert_close(module(*given), expected)


@KINDS
@pytest.mark.usefixtures("as_on_a_gpu")
def test_layers_unpack_into_one_buffer(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch, seen = ScratchBuffer(), set()
    layers = [pack(experts_of(8, 32, 16), scratch, kind) for _ in range(3)]

    def product(experts: Any, *_: Any) -> Tensor:
        seen.add(experts.gate_up_proj.untyped_storage().data_ptr())
        return torch.zeros(1)

    monkeypatch.setattr(PackedExperts, "grouped_product", staticmethod(product))
    for layer in layers:
        layer(*routed(20, 32, 8))
        layer(*routed(1, 32, 8))
    assert len(seen) == 1


@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12])
def test_fp8_keeps_three_bits_of_any_weight(size: float) -> None:
    experts = experts_of(3, 32, 16)
    for place, tensor in enumerate(experts.parameters()):
        tensor.mul_(size * 7**place)
        tensor[1] = 0
    true = [tensor.clone() for tensor in experts.parameters()]
    unpack(pack(experts, kind=Fp8Experts), experts)
    for before, after in zip(true, experts.parameters(), strict=True):
        peaks = before.abs().amax(dim=(1, 2), keepdim=True)
        off = (after - before).abs()
        assert (off <= before.abs() / 16 + peaks / 448 / 1024).all()
        torch.testing.assert_close(after.abs().amax(dim=(1, 2), keepdim=True), peaks, rtol=1e-6, atol=0)


@pytest.mark.parametrize("bias", [False, True])
def test_8_bit_rows_come_close(bias: bool) -> None:
    linear = torch.nn.Linear(64, 48, bias=bias).requires_grad_(False)
    linear.weight[5] = 0
    module = Int8Linear(linear)
    for name, tensor in module.pack(CPU, linear.weight).items():
        getattr(module, name).data = tensor
    rows = torch.randn(7, 64)
    weight = module.weight * module.scale[:, None]
    torch.testing.assert_close(module(rows), torch.nn.functional.linear(rows, weight, linear.bias))
    torch.testing.assert_close(module(rows), linear(rows), rtol=0, atol=0.02)
    assert module(rows.bfloat16()).dtype == torch.bfloat16
