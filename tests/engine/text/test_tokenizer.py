"""Tokenizers of strangers: whether they serve is told before the weights are read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from engine.checkpoints import catalogue
from engine.protocol.errors import FaultError
from engine.text.tokenizer import Tokenizer

TURNS = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}<eos>{% endfor %}"


def with_settings(folder: Path, **settings: str | None) -> Path:
    """The bundled tokenizer with other settings, or without some."""
    source = catalogue.STARTER.folder
    shutil.copy(source / "tokenizer.json", folder)
    told = json.loads((source / "tokenizer_config.json").read_text()) | settings
    kept = {name: value for name, value in told.items() if value is not None}
    (folder / "tokenizer_config.json").write_text(json.dumps(kept))
    return folder


def test_without_a_template_its_own_end_token_ends_a_text(tmp_path: Path) -> None:
    tokenizer = Tokenizer(with_settings(tmp_path))
    assert not tokenizer.chats
    assert [tokenizer.end_id] == tokenizer.encode_template("<eos>")


def test_a_template_says_what_stands_around_a_message_and_what_ends_an_answer(tmp_path: Path) -> None:
    tokenizer = Tokenizer(with_settings(tmp_path, chat_template=TURNS, eos_token=None))
    assert tokenizer.chats
    assert tokenizer.turn == ("user: ", "<eos>")
    assert [tokenizer.end_id] == tokenizer.encode_template("<eos>")


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"eos_token": None}, id="no end token"),
        pytest.param({"chat_template": TURNS + "{{ messages[0]['content'] }}"}, id="the message twice"),
        pytest.param(
            {"chat_template": "{% for m in messages %}{{ m['role'] }}{% endfor %}"}, id="no message"
        ),
        pytest.param({"chat_template": TURNS.replace("<eos>", "")}, id="nothing behind an answer"),
        pytest.param({"chat_template": "{{ raise_exception('no') }}"}, id="it refuses"),
        pytest.param({"chat_template": "{% for %}"}, id="no template"),
    ],
)
def test_what_cannot_be_used_is_told(settings: dict[str, str | None], tmp_path: Path) -> None:
    with pytest.raises(FaultError) as caught:
        Tokenizer(with_settings(tmp_path, **settings))
    assert caught.value.fault.kind == "weights-broken"
    assert str(tmp_path) in caught.value.fault.message
