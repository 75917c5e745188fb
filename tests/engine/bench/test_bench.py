"""The probes on the tiny model, without a look at any time; the baselines against explicit computations."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.__main__ import _parser
from engine.bench import baselines, sampler
from engine.bench.autoregressive import Autoregressive, decode_by_library
from engine.bench.bench_setup import BenchSetup, Sizes
from engine.bench.probes import PROBES, conditions
from engine.bench.report import Row, row, table
from engine.bench.text_quality import mean_log_probability
from engine.model.diffusion_gemma import DiffusionGemma
from engine.protocol.errors import FaultError
from tests.engine.conftest import plan_for

# The library's step function imports torch's compiler, which uses what torch itself is giving up.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")

TINY_SIZES = Sizes(
    rounds=1,
    slow_rounds=1,
    steps=4,
    slow_steps=2,
    sampler_rows=4,
    sampler_vocab=128,
    experts=2,
    layers=7,
    text_tokens=200,
    added_tokens=20,
    max_steps=(1, 3),
    openings=("It rained. We went. So it was. And on.", "The ferry. It went. It sank. We swam."),
    sentence_rounds=1,
    document_tokens=8,
    sentences=2,
)


@pytest.fixture(scope="module")
def setup(tiny_folder: Path) -> BenchSetup:
    return BenchSetup(str(tiny_folder), "cpu", "fp32", TINY_SIZES)


@pytest.fixture
def lively(broken_copy: Callable[[Callable[[dict[str, torch.Tensor]], None]], Path]) -> DiffusionGemma:
    """The tiny model repeats the last token; this one heeds those before it."""

    def strengthen_layers(tensors: dict[str, torch.Tensor]) -> None:
        generator = torch.Generator().manual_seed(0)
        for name, tensor in tensors.items():
            if name.endswith(("norm.weight", "norm_1.weight", "norm_2.weight", "scale", "layer_scalar")):
                tensor.mul_(0.5 + torch.rand(tensor.shape, generator=generator))
            if name.endswith(("post_attention_layernorm.weight", "post_feedforward_layernorm.weight")):
                tensor.mul_(9.0)

    return DiffusionGemma(plan_for(broken_copy(strengthen_layers)))


@pytest.fixture(params=["lively", "starter"])
def model(request: pytest.FixtureRequest) -> DiffusionGemma:
    chosen: DiffusionGemma = request.getfixturevalue(request.param)
    return chosen


def opening(model: DiffusionGemma, count: int = 24) -> list[int]:
    """Longer than the tiny model's sliding window."""
    generator = torch.Generator().manual_seed(3)
    ids: list[int] = torch.randint(4, model.vocab_size, (count,), generator=generator).tolist()
    return [2, *ids]


def without_a_cache(model: DiffusionGemma, ids: list[int], count: int) -> list[int]:
    """Everything is read again for each token."""
    for _ in range(count):
        ids = [*ids, int(scores_after(model, ids).argmax())]
    return ids[-count:]


def scores_after(model: DiffusionGemma, ids: list[int]) -> torch.Tensor:
    encoder: Any = model.text_model.model.encoder.language_model
    hidden = encoder(input_ids=torch.tensor([ids])).last_hidden_state[0, -1]
    cap = model.text_model.final_logit_softcapping
    scores: torch.Tensor = cap * torch.tanh(model.text_model.lm_head(hidden).double() / cap)
    return scores


def test_decoding_with_a_cache_gives_the_tokens_of_decoding_without(model: DiffusionGemma) -> None:
    ids, count = opening(model), 24
    expected = without_a_cache(model, ids, count)
    assert Autoregressive(model).decode(ids, count) == expected
    assert decode_by_library(model.text_model, ids, count) == expected
    assert len(set(expected)) > count // 3


def test_decoding_after_a_text_that_a_sliding_window_has_forgotten(
    lively: DiffusionGemma, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.model.diffusion_gemma.ROLL_BACK_TOKENS", 0)
    ids, count = opening(lively, 40), 12
    assert Autoregressive(lively).decode(ids, count) == without_a_cache(lively, ids, count)


def test_decoding_from_a_single_token(model: DiffusionGemma) -> None:
    assert Autoregressive(model).decode([2], 3) == without_a_cache(model, [2], 3)


def test_sampled_tokens_follow_the_models_distribution(tiny: DiffusionGemma) -> None:
    ids, count, temperature = opening(tiny), 400, 1.5
    by_hand = Autoregressive(tiny)
    drawn = torch.tensor([by_hand.decode(ids, 1, temperature, seed)[0] for seed in range(count)])
    expected = (scores_after(tiny, ids) / temperature).softmax(-1)
    found = torch.bincount(drawn, minlength=tiny.vocab_size) / count
    assert (found - expected).abs().max() < 4 * math.sqrt(0.25 / count)
    assert by_hand.decode(ids, 8, temperature, 1) == by_hand.decode(ids, 8, temperature, 1)


def test_likelihood_is_the_mean_over_tokens_each_read_after_those_before(model: DiffusionGemma) -> None:
    before, ids = opening(model), opening(model, 9)
    explicit = [
        float(scores_after(model, before + ids[:n]).log_softmax(-1)[index]) for n, index in enumerate(ids)
    ]
    assert mean_log_probability(model, before, ids) == pytest.approx(sum(explicit) / len(ids), abs=1e-4)


@pytest.mark.parametrize("name", PROBES)
def test_each_probe_gives_rows(name: str, setup: BenchSetup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "_in_a_process", lambda *_sizes: 1000)  # see below
    rows = PROBES[name](setup)
    assert rows
    for one in rows:
        assert set(one) == set(Row.__annotations__)
        assert one["name"]
        assert math.isfinite(one["ours"])
        assert (one["peer"] is None) == (one["peer_name"] == "")
    assert len({(one["name"], one["peer_name"]) for one in rows}) == len(rows)
    assert json.loads(json.dumps(rows)) == rows


def test_without_diffusers_its_rows_are_left_out(setup: BenchSetup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.bench.draft_speed.has_diffusers", lambda: False)
    rows = PROBES["step"](setup)
    assert {one["peer_name"] for one in rows} == {"transformers generate()"}
    assert {one["name"].split(", ")[1] for one in rows} == {"fp32", "bf16"}


def test_every_peer_takes_the_steps_it_is_told(setup: BenchSetup) -> None:
    library = baselines.LibraryModel(setup)
    assert len(library.generate([2, 5], 4)) == 3
    assert len(library.pipeline([2, 5], 4)) == 3


def test_the_peer_has_the_librarys_own_modules(setup: BenchSetup) -> None:
    library = baselines.LibraryModel(setup).model
    assert {type(module).__module__.partition(".")[0] for module in library.modules()} <= {
        "torch",
        "transformers",
    }


@pytest.mark.skipif(not sampler.STATUS.exists(), reason="only Linux tells a process's high-water mark")
def test_peak_memory_is_that_of_the_side_measured() -> None:
    rows, vocab = 33, 262_144  # 34 MB: the allocator keeps no block of that size for later
    size = 4 * rows * vocab
    assert sampler._in_a_process("library", rows, vocab) > 3 * size
    assert sampler._in_a_process("ours", rows, vocab) < size


def test_a_long_text_grows_only_at_its_end(setup: BenchSetup) -> None:
    text = setup.text("First.")
    longer = setup.longer(text)
    encode = setup.model.tokenizer.encode
    assert len(encode(text)) >= TINY_SIZES.text_tokens
    assert longer.startswith(text)
    assert len(encode(longer)) - len(encode(text)) >= TINY_SIZES.added_tokens
    assert not setup.text("Second.").startswith("First")


def test_a_row_and_its_table() -> None:
    rows = [row("one", "ms", 2.0, 4.0, "peer"), row("another", "nats", 1 / 3)]
    assert rows[0]["ratio"] == 0.5
    assert rows[1] == Row(name="another", unit="nats", ours=0.3333, peer=None, peer_name="", ratio=None)
    assert table(rows)[1:] == ["one      2       ms    4  peer  0.5", "another  0.3333  nats"]


def test_the_conditions_name_device_precision_threads_and_versions(setup: BenchSetup) -> None:
    told = conditions(setup)
    for named in ("cpu", "fp32", "threads", f"torch {torch.__version__}", "transformers 5", "diffusers"):
        assert named in told


def bench(*arguments: str) -> str:
    options = _parser().parse_args(["bench", *arguments])
    out = io.StringIO()
    assert options.run(options, out) == 0
    return out.getvalue()


@pytest.mark.both_worlds
def test_the_command_prints_a_list_of_rows_and_nothing_else(tiny_folder: Path) -> None:
    rows = json.loads(bench("variants", "--model", str(tiny_folder), "--device", "cpu", "--json"))
    assert all(set(one) == set(Row.__annotations__) for one in rows)


def test_the_table_comes_with_its_conditions(tiny_folder: Path) -> None:
    told = bench("variants", "share", "--model", str(tiny_folder), "--device", "cpu")
    assert told.startswith(f"{tiny_folder.name} on cpu")
    assert "4 variants in times of one" in told
    assert "share of a step" in told


def test_the_command_refuses_an_unknown_probe() -> None:
    with pytest.raises(FaultError, match="height") as refused:
        bench("speed", "height")
    assert refused.value.fault.kind == "input"
    assert "first_frame" in refused.value.fault.remedy


def test_a_device_that_is_not_there_is_told_as_elsewhere() -> None:
    with pytest.raises(FaultError, match="cuda:99") as refused:
        bench("share", "--device", "cuda:99")
    assert refused.value.fault.kind == "device-missing"
