"""How well drafts are checked: `python -m tests.bench.checks`, and with `--mend` how well they are mended.

tests/golden/checked_drafts.jsonl holds 200 paragraphs of the bundled model: what stood before each, the seed,
the text as the page shows it and, in spans of its characters, what is a glitch and what a fact that the text
before does not say. The other file holds 44 paragraphs after 20 other openings, drafted and labelled once the
checks were made. One reader labelled them, who saw the checks' marks, by these rules:

- a glitch is a word that stands twice in a row without sense, one that is broken or glued to a part of
  another, a quotation mark or a bracket without its partner, a sentence that was said before, word by word;
- a fact is the name of a person, a place or an organisation, where it stands first; a number, one excepted;
  a day or a month by its name; unless the text before has it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from PySide6.QtGui import QGuiApplication, QTextDocument

from app.checks.facts import new_facts
from app.checks.glitches import glitches
from app.documents.text import cursor_over, set_document_text, utf16_length
from app.drafting.draft_requests import MENDING_LENGTHS
from app.drafting.draft_words import DraftWords
from app.drafting.finding import Finding
from app.editor.placement import Placement
from engine.protocol.events import Finished
from engine.protocol.requests import DraftPlace, Span

if TYPE_CHECKING:
    from engine.bench.bench_setup import BenchSetup

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
DRAFTS, HELD_OUT = GOLDEN / "checked_drafts.jsonl", GOLDEN / "checked_drafts_held_out.jsonl"


@dataclass(frozen=True)
class CheckedDraft:
    before: str
    """With the blank line that the page puts in between."""
    seed: int
    text: str
    glitches: list[Span]
    facts: list[Span]

    def marked(self, kind: Literal["glitches", "facts"]) -> list[Span]:
        check: Callable[[str, str], tuple[Finding, ...]] = glitches if kind == "glitches" else new_facts
        return [finding.span for finding in check(self.text, self.before)]


@dataclass
class Count:
    """drafts: with a mark."""

    drafts: int = 0
    marked: int = 0
    wrong: int = 0
    missed: int = 0


def checked_drafts(file: Path = DRAFTS) -> Iterator[CheckedDraft]:
    for line in file.read_text(encoding="utf-8").splitlines():
        row: dict[str, Any] = json.loads(line)
        spans = {kind: [Span(*span) for span in row.pop(kind)] for kind in ("glitches", "facts")}
        yield CheckedDraft(row["before"], row["seed"], row["text"], spans["glitches"], spans["facts"])


def count(kind: Literal["glitches", "facts"], file: Path = DRAFTS) -> Count:
    found = Count()
    for draft in checked_drafts(file):
        marked, true = draft.marked(kind), getattr(draft, kind)
        found.drafts += bool(marked)
        found.marked += len(marked)
        found.wrong += sum(not any(map(_meets(span), true)) for span in marked)
        found.missed += sum(not any(map(_meets(span), marked)) for span in true)
    return found


def _meets(one: Span) -> Callable[[Span], bool]:
    return lambda other: one.start < other.end and other.start < one.end


def mended(setup: BenchSetup, draft: CheckedDraft) -> Iterator[tuple[str, bool, float]]:
    """Drafts in place of one, the best first: each text, whether all but the marks is as it was, seconds."""
    words = DraftWords(draft.text, findings=glitches(draft.text, draft.before))
    held = words.around_glitches
    place = DraftPlace(
        before=draft.before,
        start_text=draft.text,
        held=held,
        changes=True,
        joins_after=True,
        length_shares=MENDING_LENGTHS,
    )
    events = [event for event in setup.draft_places((place,), 3, draft.seed) if isinstance(event, Finished)]
    took_s = max(event.stats.prefill_s + event.stats.denoise_s for event in events)
    for event in sorted(events, key=lambda event: event.rank):
        text = shown(draft.before, event.text)
        yield text, _is_as_it_was(draft.text, held, text), took_s


def _is_as_it_was(text: str, held: tuple[Span, ...], again: str) -> bool:
    """Whether the parts of the text that were held stand in the other one, in their order and at its ends."""
    parts = [text[part.start : part.end].strip() for part in held]
    pattern = ".*".join(map(re.escape, parts))
    begins, ends = held[0].start == 0, held[-1].end == len(text)
    return bool(re.search(("\\A" * begins) + pattern + ("\\Z" * ends), again.strip(), re.DOTALL))


def shown(before: str, text: str) -> str:
    """The model's text as the page shows it."""
    document = QTextDocument(QGuiApplication.instance())
    set_document_text(document, before)
    placement = Placement(cursor_over(document, utf16_length(before)))
    placement.extent = "paragraphs"
    return placement.shown(text)


def mend() -> None:
    from engine.bench.bench_setup import BenchSetup  # the figures of the checks need no engine

    setup = BenchSetup("starter", "cpu")
    tried, same_rest, clean, fewer, seconds = 0, 0, 0, 0, []
    for draft in checked_drafts():
        if not (marked := draft.marked("glitches")) or marked == [Span(0, len(draft.text))]:
            continue
        text, kept, took_s = next(mended(setup, draft))
        left = len(glitches(text, draft.before))
        tried, same_rest = tried + 1, same_rest + kept
        clean, fewer = clean + (not left), fewer + (left < len(marked))
        seconds.append(took_s)
        print(f"{len(marked)} → {left}, kept {kept}: {text}", file=sys.stderr)
    print(f"mended: {tried}; all else as it was: {same_rest}; no glitch left: {clean}; fewer: {fewer}")
    print(f"median time: {sorted(seconds)[len(seconds) // 2]:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.checks", description=__doc__)
    parser.add_argument("--mend", action="store_true")
    options = parser.parse_args()
    _app = QGuiApplication(["checks", "-platform", "offscreen"])
    if options.mend:
        mend()
        return
    kinds: tuple[Literal["glitches", "facts"], ...] = ("glitches", "facts")
    for file in (DRAFTS, HELD_OUT):
        for kind in kinds:
            found = count(kind, file)
            right = found.marked - found.wrong
            print(
                f"{file.stem}, {kind}: {found.marked} marked in {found.drafts} drafts, {right} right, "
                f"{found.wrong} wrong, {found.missed} missed"
            )


if __name__ == "__main__":
    main()
