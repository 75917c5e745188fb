"""Build a model's prompt from the text around the caret, within a token budget."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.protocol.errors import FaultError
from engine.text.detokenizer import ALL_LEADING_SPACE, LeadingSpace

if TYPE_CHECKING:
    from engine.protocol.requests import DraftPlace
    from engine.text.tokenizer import Tokenizer

_LEAD_CHARACTERS = 120
_WANTED = {
    "sentence": "one sentence that comes",
    "paragraph": "one paragraph that comes",
    "paragraphs": "paragraphs that come",
}
_CHARACTERS_PER_TOKEN = 5  # generous: a text that takes more tokens is cut again


@dataclass(frozen=True)
class Prompt:
    """What a model is given, and what of it a draft goes on from."""

    ids: list[int]
    text: str
    """In words."""
    cut_chars: int
    """Left out of the text before the caret."""
    budget: int
    """The most tokens that it may have."""
    lead: LeadingSpace
    """White space that stands before the caret already and comes off the draft's beginning."""
    blanks: str = ""
    """At the end of the text before the caret, and not in ids."""
    after_chars: int = 0
    """Of the text after the caret, in it as a quotation."""
    answer_lead: str = ""
    """The last words before a draft that joins the text after it: a chat model's answer begins with them."""


def build_prompt(tokenizer: Tokenizer, place: DraftPlace, budget: int) -> Prompt:
    """A chat turn where the model has a template, else the text to continue. Raises input."""
    if tokenizer.chats:
        return chat_prompt(tokenizer, place, budget)
    return continuation_prompt(tokenizer, place.before, budget)


def continuation_prompt(tokenizer: Tokenizer, before: str, budget: int) -> Prompt:
    """The text before the caret, cut to the budget. Trailing blanks go, since tokens begin with them."""
    kept = _without_trailing_blanks(tokenizer, before)
    start = tokenizer.start_ids
    cut = cut_start(kept, lambda text: len(start) + len(tokenizer.encode(text)) <= budget, budget)
    text = kept[cut:]
    blanks = before[len(kept) :]
    return Prompt(start + tokenizer.encode(text), text, cut, budget, LeadingSpace(len(blanks)), blanks)


def _without_trailing_blanks(tokenizer: Tokenizer, text: str) -> str:
    """Inside a line all of them; an indentation loses only what would be one token with the next word."""
    kept = text.rstrip(" \t")
    if kept and not kept.endswith("\n"):
        return kept
    line = text[kept.rfind("\n", 0, -1) + 1 :] if kept else text
    whole = tokenizer.encode(line + "a")
    for end in range(len(text), len(kept), -1):
        ids = tokenizer.encode(text[len(text) - len(line) : end])
        if ids == whole[: len(ids)]:
            return text[:end]
    return kept


def chat_prompt(tokenizer: Tokenizer, place: DraftPlace, budget: int) -> Prompt:
    """What rarely changes comes first: the document, the text after the caret, then the instruction.

    Raises input for an instruction that does not fit.
    """
    head, tail = tokenizer.turn
    head_ids, tail_ids = tokenizer.encode_template(head), tokenizer.encode_template(tail)
    after = place.after[: _cut_end(tokenizer, place.after, budget // 4)]
    kept = place.before.rstrip(" \t")
    lead = kept[_answer_lead(kept) :] if place.joins_after else ""
    task = _task(place, lead)

    def message(text: str) -> str:
        parts = [
            f"This is a document, up to the place where new text should come:\n<before>\n{text}\n</before>"
        ]
        if place.joins_after and place.start_text:
            parts.append(f"At that place stands this passage:\n<passage>\n{place.start_text}\n</passage>")
        if after.strip():
            parts.append(f"After that place it goes on:\n<after>\n{after}\n</after>")
        return "\n\n".join([*parts, *task])

    def fits(text: str) -> bool:
        return len(head_ids) + len(tokenizer.encode(message(text))) + len(tail_ids) <= budget

    if not fits(""):
        fault = f"The instruction is too long: it does not fit into {budget} tokens of context."
        if place.joins_after and place.start_text:
            fault = f"The passage and the instruction do not fit into {budget} tokens of context."
        raise FaultError("input", fault, "Shorten it, or raise the context size in the settings.")
    cut = cut_start(place.before, fits, budget)
    content = message(place.before[cut:])
    ids = head_ids + tokenizer.encode(content) + tail_ids
    blanks = place.before[len(kept) :] if place.joins_after else ""
    joined = place.joins_after and (lead or place.start_text)
    lead_space = LeadingSpace(len(blanks)) if joined else ALL_LEADING_SPACE
    quoted = len(after) if after.strip() else 0
    return Prompt(ids, head + content + tail, cut, budget, lead_space, blanks, quoted, lead)


def _task(place: DraftPlace, lead: str) -> list[str]:
    """What the model is to do, and what the writer asks."""
    manner = "in the document's language, style and format."
    if not place.joins_after:
        task = f"Write the {_WANTED[place.extent]} at that place, {manner} "
        task += f"Do not repeat what stands there. Output only the {place.extent}."
    else:
        what = "Rewrite that passage" if place.start_text else "Write what leads from the one to the other"
        begins = f"Begin your output with the words before it, “{lead}”, and end it" if lead else "End it"
        task = f"{what}, {manner} {begins} with the words that stand after it, unchanged."
    asked = place.instruction.strip()
    return [task, f"The writer asks: {asked}"] if asked else [task]


def _answer_lead(text: str) -> int:
    """Where the last sentence of the text's last line begins, or the last words of a long one."""
    line = text.rfind("\n") + 1
    first = max(line, len(text) - _LEAD_CHARACTERS)
    ends = list(re.finditer(r"[.!?…][\"'”’)]*\s+(?=\S)", text[first:]))
    if ends:
        return first + ends[-1].end()
    return first if first == line else first + max(0, text[first:].find(" ") + 1)


def cut_start(text: str, fits: Callable[[str], bool], budget: int) -> int:
    """Where to begin so that the rest fits, at a paragraph if there is one.

    The place depends on the text's length by quarters only, so that a growing document keeps its prefix and
    the KV cache of it. Three or four quarters are kept; where they are too many tokens, as in a script of
    many tokens a character, the quarters are halved.
    """
    quarter = max(1, budget * _CHARACTERS_PER_TOKEN // 4)
    while quarter:
        quarters = -(-len(text) // quarter)
        for skipped in range(max(0, quarters - 4), max(1, quarters - 2)):
            start = _boundary(text, skipped * quarter, (skipped + 1) * quarter) if skipped else 0
            if fits(text[start:]):
                return start
        quarter //= 2
    return len(text)


def _boundary(text: str, first: int, last: int) -> int:
    """The best place to begin in text[first:last]: after an empty line, a line, a sentence, a word."""
    for pattern in (r"\n[ \t]*\n+", r"\n", r"[.!?…][\"'”’)]*\s+|[。！？][”’」』）]*", r"\s+"):
        found = re.compile(pattern).search(text, first, last)
        if found:
            return found.end()
    return first


def _cut_end(tokenizer: Tokenizer, text: str, budget: int) -> int:
    """How much of the text's beginning fits, to a paragraph's end if there is one in its second half."""
    end = min(len(text), budget * _CHARACTERS_PER_TOKEN)
    while len(tokenizer.encode(text[:end])) > budget:
        end = end * 3 // 4
    if end == len(text):
        return end
    for mark in ("\n\n", "\n", " "):
        place = text.rfind(mark, end // 2, end)
        if place > 0:
            return place
    return end
