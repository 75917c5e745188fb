"""Detokenize canvases: token ids → display text, every character owned by exactly one token."""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.protocol.errors import weights_broken

# How models mark a thought: by special tokens, or else in so many words.
THOUGHT_MARKS = (("<|channel>", "<channel|>"), ("<think>", "</think>"))
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_NO_TEXT = re.compile(r"<unused\d+>|\[unused\d+\]|\[multimodal\]")
"""Pieces that stand for no text, though not every tokenizer marks them as special."""
_LOST_CHARACTER = "\ufffd"
_HIDDEN = -1  # an id that no token has


class Detokenizer:
    """The bytes of every token of a tokenizer.json: byte-level BPE, or pieces with byte fallback."""

    def __init__(self, tokenizer: Mapping[str, Any]) -> None:
        """Raises weights-broken for any other kind of tokenizer."""
        to_bytes = _token_to_bytes(tokenizer)
        self._bytes = {
            index: b"" if _NO_TEXT.fullmatch(token) else to_bytes(token)
            for token, index in _vocabulary(tokenizer)
        }
        self._added: dict[str, int] = {}
        for added in tokenizer.get("added_tokens", ()):
            content, index = added["content"], added["id"]
            self._added[content] = index
            hidden = added["special"] or _NO_TEXT.fullmatch(content)
            self._bytes[index] = b"" if hidden else content.encode()

    def id_of(self, added_token: str) -> int | None:
        return self._added.get(added_token)

    def ids_with(self, text: str) -> frozenset[int]:
        """Of the tokens that hold it."""
        return frozenset(index for index, spelled in self._bytes.items() if text.encode() in spelled)

    def texts(self, ids: Sequence[int], pending: bytes = b"") -> tuple[list[str], bytes]:
        """One text per id, and the bytes of a character that the last tokens left half finished.

        A character goes to the token that completes it. Bytes that never make one are dropped.
        """
        decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")
        decoder.decode(pending)
        texts = []
        for index in ids:
            spelled = self._bytes.get(index, b"")
            if not spelled:
                decoder.reset()
            texts.append(decoder.decode(spelled))
        return texts, decoder.getstate()[0]


@dataclass(frozen=True)
class LeadingSpace:
    """Whitespace to take off a draft's beginning: at most `count` of `characters`."""

    count: int = 0
    characters: str = " \t"


ALL_LEADING_SPACE = LeadingSpace(sys.maxsize, " \t\r\n")


@dataclass(frozen=True)
class DetokenizedCanvas:
    """One canvas as the page sees it. texts: one per position; tokens: those before the end token."""

    texts: list[str]
    tokens: int
    ended: bool


@dataclass(frozen=True)
class _State:
    """What a canvas leaves to the next. thought: the special id, or the text, that will end a thought."""

    lead_left: int
    at_start: bool = True
    pending: bytes = b""
    thought: int | str | None = None


class StreamingDetokenizer:
    """What the page may see of one variant: no end tokens or padding, no thoughts, no half characters."""

    def __init__(
        self,
        detokenizer: Detokenizer,
        end_ids: Collection[int],
        lead: LeadingSpace,
        start_text: str = "",
    ) -> None:
        """start_text: what the draft begins from: a lost character that it holds stays."""
        self._keeps_lost = _LOST_CHARACTER in start_text
        self._detokenizer = detokenizer
        self._end_ids = end_ids
        self._lead = lead.characters
        self._state = _State(lead_left=lead.count)
        marks = [(detokenizer.id_of(begin), detokenizer.id_of(end)) for begin, end in THOUGHT_MARKS]
        self._marks = {begin: end for begin, end in marks if begin is not None and end is not None}

    def noise(self, ids: Sequence[int]) -> list[str]:
        return _without_lost_characters(self._detokenizer.texts(ids)[0])

    def show(self, ids: Sequence[int]) -> list[str]:
        """A working draft. What follows an end token stays: early end tokens come and go."""
        return self._read(ids)[0]

    def finish(self, ids: Sequence[int]) -> DetokenizedCanvas:
        """A finished draft, cut at its first end token. The next canvas goes on from here."""
        tokens = next((n for n, index in enumerate(ids) if index in self._end_ids), len(ids))
        texts, self._state = self._read(ids[:tokens])
        return DetokenizedCanvas(texts + [""] * (len(ids) - tokens), tokens, tokens < len(ids))

    def _read(self, ids: Sequence[int]) -> tuple[list[str], _State]:
        state = self._state
        ids, thought = self._without_marked_thoughts(ids, state.thought)
        texts, pending = self._detokenizer.texts(ids, state.pending)
        if not self._keeps_lost:
            texts = _without_lost_characters(texts)
        if not self._marks:
            texts, thought = _without_spelled_thought(texts, state.thought, state.at_start)
        lead_left = state.lead_left
        if state.at_start:
            lead_left = self._take_lead_off(texts, lead_left)
        at_start = state.at_start and not any(texts)
        return texts, replace(state, lead_left=lead_left, at_start=at_start, pending=pending, thought=thought)

    def _without_marked_thoughts(
        self, ids: Sequence[int], thought: int | str | None
    ) -> tuple[list[int], int | str | None]:
        ends, shown = set(self._marks.values()), []
        if thought is None and self._state.at_start:  # it may have begun before the draft
            mark = next((index for index in ids if index in self._marks or index in ends), None)
            thought = mark if mark in ends else None
        for index in ids:
            if thought is None:
                thought = self._marks.get(index)
                shown.append(index if thought is None else _HIDDEN)
            else:
                shown.append(_HIDDEN if isinstance(thought, int) else index)
                if index == thought:
                    thought = None
        return shown, thought

    def _take_lead_off(self, texts: list[str], left: int) -> int:
        for n, text in enumerate(texts):
            kept = text
            while kept and left and kept[0] in self._lead:
                kept, left = kept[1:], left - 1
            texts[n] = kept
            if kept:
                break
        return left


def _without_lost_characters(texts: Sequence[str]) -> list[str]:
    return [text.replace(_LOST_CHARACTER, "") for text in texts]


def _without_spelled_thought(
    texts: list[str], thought: int | str | None, at_start: bool
) -> tuple[list[str], int | str | None]:
    """Only at a draft's very start: a writer may well write about such marks."""
    joined = "".join(texts)
    for begin, end in THOUGHT_MARKS:
        if at_start and thought is None and joined.lstrip().startswith(begin):
            thought = end
    if not isinstance(thought, str):
        return texts, None
    end_at = joined.find(thought)
    if end_at < 0:
        return [""] * len(texts), thought
    left = len(joined) - len(joined[end_at + len(thought) :].lstrip())
    shown = []
    for text in texts:
        shown.append(text[left:])
        left = max(0, left - len(text))
    return shown, None


def _vocabulary(tokenizer: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    vocabulary = tokenizer["model"]["vocab"]
    if isinstance(vocabulary, dict):
        return iter(vocabulary.items())
    return ((token, index) for index, (token, _score) in enumerate(vocabulary))


def _token_to_bytes(tokenizer: Mapping[str, Any]) -> Callable[[str], bytes]:
    decoder = tokenizer.get("decoder") or {}
    kinds = {step["type"] for step in decoder.get("decoders", [decoder]) if "type" in step}
    if "ByteLevel" in kinds:
        from transformers.convert_slow_tokenizer import bytes_to_unicode

        table: dict[int, str] = bytes_to_unicode()  # type: ignore[no-untyped-call]
        spelled = {character: bytes([byte]) for byte, character in table.items()}
        return lambda token: b"".join(spelled.get(each) or each.encode() for each in token)
    if "ByteFallback" in kinds:
        return _sentence_piece
    named = ", ".join(sorted(kinds)) or "no decoder"
    message = f"This model’s tokenizer is of an unknown kind ({named})."
    raise weights_broken(message, remedy="Choose a DiffusionGemma model.")


def _sentence_piece(token: str) -> bytes:
    byte = _BYTE.fullmatch(token)
    return bytes([int(byte[1], 16)]) if byte else token.replace("▁", " ").encode()
