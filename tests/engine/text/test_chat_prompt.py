"""A whole draft of a chat model: the bundled weights behind a chat template in Gemma's format."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
import torch

from engine.checkpoints import catalogue
from engine.protocol.events import Finished, Frame, Prefilled, Ready
from engine.protocol.requests import DraftPlace, Extent
from engine.runtime.local_engine import LocalEngine
from engine.text.prompt import build_prompt
from tests.engine.conftest import draft, load

MARKS = ("<|turn>", "<turn|>", "<|channel>", "<channel|>")
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|turn>{{ 'model' if message.role == 'assistant' else"
    " message.role }}\n{{ message.content }}<turn|>\n{% endfor %}{% if add_generation_prompt %}<|turn>model\n"
    "{% if not enable_thinking %}<|channel>thought\n<channel|>{% endif %}{% endif %}"
)


@pytest.fixture(scope="module")
def chatting(tmp_path_factory: pytest.TempPathFactory) -> LocalEngine:
    """The marks take the places of rare tokens, which the weights hardly ever write."""
    folder = tmp_path_factory.mktemp("chat") / "chat"
    shutil.copytree(catalogue.STARTER.folder, folder)
    data: dict[str, Any] = json.loads((folder / "tokenizer.json").read_text())
    vocabulary: dict[str, int] = data["model"]["vocab"]
    rarest = sorted(vocabulary, key=lambda token: -vocabulary[token])[: len(MARKS)]
    data["model"]["merges"] = [pair for pair in data["model"]["merges"] if "".join(pair) not in rarest]
    for mark, token in zip(MARKS, rarest, strict=True):
        vocabulary[mark] = vocabulary.pop(token)
        added = {"id": vocabulary[mark], "content": mark, "special": True, "normalized": False}
        data["added_tokens"].append(added | {"single_word": False, "lstrip": False, "rstrip": False})
    (folder / "tokenizer.json").write_text(json.dumps(data))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    generation = json.loads((folder / "generation_config.json").read_text())
    turn_end = vocabulary["<turn|>"]
    generation["eos_token_id"] = [1, turn_end]
    (folder / "generation_config.json").write_text(json.dumps(generation))
    session = LocalEngine()
    ready = load(session, model=str(folder))[-1]
    assert isinstance(ready, Ready), ready
    assert ready.capabilities.instructions
    return session


@pytest.mark.parametrize(
    ("extent", "asked"),
    [("sentence", "one sentence"), ("paragraph", "one paragraph"), ("paragraphs", "the paragraphs")],
)
def test_the_prompt_says_how_much_is_wanted(chatting: LocalEngine, extent: Extent, asked: str) -> None:
    place = DraftPlace(before="It rained.", extent=extent)
    text = build_prompt(chatting.model.tokenizer, place, 512).text
    assert asked in text
    assert f"only the {extent}." in text


def test_the_prompt_is_one_turn_with_thinking_off(chatting: LocalEngine) -> None:
    events = draft(chatting, "Dear Anna,", after="Yours, Peter", instruction="Thank her.", max_steps=2)
    prefilled = events[0]
    assert isinstance(prefilled, Prefilled)
    assert prefilled.prompt.startswith("<bos><|turn>user\n")
    assert prefilled.prompt.endswith("<turn|>\n<|turn>model\n<|channel>thought\n<channel|>")
    order = ("Dear Anna,", "Yours, Peter", "Thank her.")
    assert sorted(order, key=prefilled.prompt.index) == list(order)


def test_a_pinned_length_ends_the_turn_as_the_template_does(chatting: LocalEngine) -> None:
    model = chatting.model
    turn_end = model.tokenizer.encode_template("<turn|>")
    assert [model.end_id] == turn_end
    assert model.end_ids == {1, *turn_end}
    assert model.fill_id == model.pad_id
    events = draft(chatting, "Dear Anna,", length_tokens=12, min_tokens=12, max_steps=4)
    assert isinstance(events[-1], Finished)
    assert events[-1].stats.tokens == 12


def test_a_thought_and_what_follows_the_turn_are_never_shown(
    chatting: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = chatting.model
    said = model.tokenizer.encode_template("<|channel>hidden<channel|>\nIt was raining.<turn|>")
    ids = torch.tensor(said + [model.pad_id] * (256 - len(said)))

    def denoise(_canvases: object, canvas: torch.Tensor, *_others: object) -> torch.Tensor:
        return torch.nn.functional.one_hot(ids.repeat(len(canvas)), model.vocab_size).float() * 50

    monkeypatch.setattr(model, "denoise", denoise)
    events = draft(chatting, "Dear Anna,", max_steps=4)
    finished = events[-1]
    assert isinstance(finished, Finished), finished
    assert finished.text == "It was raining."
    for event in events:
        if isinstance(event, Frame) and event.step:
            assert "hidden" not in "".join(token.text for token in event.tokens)


def test_the_document_is_reused_when_only_the_instruction_changes(chatting: LocalEngine) -> None:
    text = "It rained all day, and nobody came to the door. " * 60
    draft(chatting, text, instruction="Go on.", max_steps=1)
    places = (DraftPlace(before=text, instruction="End it."), DraftPlace(before="It snowed"))
    events = draft(chatting, places=places, max_steps=1)
    first, second = (event for event in events if isinstance(event, Prefilled))
    assert first.reused_tokens > first.prompt_tokens - 2 * chatting.model.prefill_tokens
    assert second.reused_tokens == 0
