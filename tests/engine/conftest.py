"""A tiny random DiffusionGemma, the bundled model, and a shortened way to run a session."""

from __future__ import annotations

import copy
import gc
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion

from engine.checkpoints import catalogue
from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.precision import Precision
from engine.hardware import torch_devices
from engine.hardware.device_map import CPU_ONLY, DeviceMap
from engine.model.diffusion_gemma import DiffusionGemma
from engine.model.load_config import LoadPlan
from engine.model.loading import TextModel
from engine.protocol.events import Device, DraftEvent, LoadEvent
from engine.protocol.requests import LoadRequest
from engine.quantization import nf4, packed_experts
from engine.runtime.local_engine import LocalEngine
from tests.fakes import draft_request

PROCESSOR = Device(id="cpu", name="A processor", total_bytes=0, free_bytes=0)
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>"]


@pytest.fixture(scope="module", autouse=True)
def _no_widgets_left() -> None:
    """Of other tests: a load may collect garbage in its own thread, where no widget may be destroyed."""
    gc.collect()


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Not one for each core, as a load would have it: how sums are rounded depends on their number."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_devices, "limit_threads", lambda: None)
        yield


def _save_tiny(folder: Path, canvas_tokens: int, vocabulary: int, positions: int = 1024) -> None:
    """Hidden 32, 2 layers (one sliding, window 16); random weights in fp32."""
    config = DiffusionGemmaConfig(
        canvas_length=canvas_tokens,
        text_config={
            "vocab_size": vocabulary,
            "hidden_size": 32,
            "intermediate_size": 64,
            "moe_intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "global_head_dim": 16,
            "num_experts": 4,
            "top_k_experts": 2,
            "sliding_window": 16,
            "max_position_embeddings": positions,
            "layer_types": ["sliding_attention", "full_attention"],
            "use_bidirectional_attention": "vision",
        },
        vision_config={
            "model_type": "gemma4_vision",
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 1,
            "num_key_value_heads": 1,
            "head_dim": 16,
        },
    )
    torch.manual_seed(0)
    model = DiffusionGemmaForBlockDiffusion(config)
    with torch.no_grad():  # as drawn, every prediction is almost uniform
        model.lm_head.weight.mul_(20.0)
    model.generation_config.eos_token_id = 1
    model.generation_config.pad_token_id = 0
    model.save_pretrained(folder)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vocabulary 99, hidden 32, 2 layers (one sliding, window 16), canvas 16; random weights in fp32."""
    folder = tmp_path_factory.mktemp("tiny")
    _save_tiny(folder, 16, 99)
    characters = [*sorted(pre_tokenizers.ByteLevel.alphabet())[:94], "Ċ"]
    tokenizer = Tokenizer(
        models.BPE({t: i for i, t in enumerate([*SPECIAL, *characters])}, merges=[], unk_token="<unk>")
    )
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing("<bos> $A", special_tokens=[("<bos>", 2)])
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **names})
    )
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> DiffusionGemma:
    return DiffusionGemma(plan_for(tiny_folder))


@pytest.fixture(scope="session")
def starter() -> DiffusionGemma:
    return DiffusionGemma(plan_for(catalogue.STARTER.folder))


@pytest.fixture(scope="session")
def tiny_library(tiny_folder: Path) -> Any:
    return library(tiny_folder)


@pytest.fixture(scope="session")
def starter_library() -> Any:
    return library(catalogue.STARTER.folder)


@pytest.fixture(scope="session")
def loaded_starter() -> LocalEngine:
    session = LocalEngine()
    events = load(session)
    assert events[-1].__class__.__name__ == "Ready", events[-1]
    return session


@pytest.fixture(scope="session")
def tiny_writer(tmp_path_factory: pytest.TempPathFactory) -> LocalEngine:
    """The tiny model with the bundled tokenizer, which spells all there is, and canvases of 48."""
    folder = tmp_path_factory.mktemp("writer")
    _save_tiny(folder, 48, 4096, positions=4096)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(catalogue.STARTER.folder / name, folder)
    session = LocalEngine()
    events = load(session, model=str(folder))
    assert events[-1].__class__.__name__ == "Ready", events[-1]
    return session


@pytest.fixture
def tiny_session(tiny_folder: Path) -> LocalEngine:
    session = LocalEngine()
    load(session, model=str(tiny_folder))
    return session


@pytest.fixture
def broken_copy(
    tiny_folder: Path, tmp_path: Path
) -> Callable[[Callable[[dict[str, torch.Tensor]], None]], Path]:
    """A copy of the tiny model whose tensors were changed."""

    def make(change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
        folder = tmp_path / "broken"
        folder.mkdir()
        for path in tiny_folder.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(copy.copy(tensors), folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    return make


def library(folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    """The checkpoint as the library runs it, in its plainest form: nothing of ours in it."""
    loader: Any = TextModel
    model = loader.from_pretrained(
        folder,
        local_files_only=True,
        dtype=dtype,
        attn_implementation="eager",
        experts_implementation="eager",
    )
    return model.eval().requires_grad_(False)


def plan_for(
    folder: Path,
    precision: Precision = "fp32",
    device_map: DeviceMap = CPU_ONLY,
    packed_models: Path | None = None,
) -> LoadPlan:
    return LoadPlan(Checkpoint.open(folder), PROCESSOR, precision, 1, device_map, packed_models)


def load(
    session: LocalEngine, model: str = "starter", precision: str = "fp32", device: str = "cpu"
) -> list[LoadEvent]:
    """In fp32 unless told: "auto" depends on the processor, and in bf16 a draft on those beside it."""
    request = LoadRequest(request_id="l", model=model, device=device, precision=precision)
    return list(session.load(request, threading.Event()))


def draft(session: LocalEngine, before: str = "It rained", **fields: Any) -> list[DraftEvent]:
    request = draft_request("d", before, **fields)
    return list(session.draft(request, threading.Event()))


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take the way that a GPU takes, on the processor."""
    pytest.importorskip("bitsandbytes")

    def into(*args: Any) -> None:
        *given, out = args
        out.copy_(torch.ops.bitsandbytes.dequantize_4bit(*given))

    library = torch.library.Library("bitsandbytes", "IMPL")
    library.impl("dequantize_4bit.out", into, "CPU")
    for module in (packed_experts, nf4):
        monkeypatch.setattr(module, "on_cpu", lambda _tensor: False)
    yield
    library._destroy()
