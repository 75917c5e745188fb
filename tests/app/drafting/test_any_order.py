"""Whatever a writer does with drafts, in whatever order: the document equals a plain string."""

import itertools
import random
import re

import pytest
from PySide6.QtGui import QTextCursor

from app.documents.text import set_document_text, text_between
from app.drafting.draft_session import DraftState
from app.drafting.verbs import OF_SELECTION
from tests.app.conftest import Run
from tests.app.drafting.conftest import Desk, ScriptedEngine
from tests.app.pages import put_caret

SEQUENCES = 24
ACTIONS = 40


class Writer:
    """Acts on the desk, and knows what the text should be: each word in it is another one."""

    def __init__(self, desk: Desk, engine: ScriptedEngine, seed: int) -> None:
        self.desk, self.engine, self.random = desk, engine, random.Random(seed)
        self.numbers = itertools.count()
        self.text = "\n\n".join(" ".join(self.words(6)) + "." for _ in range(4))
        document = desk.page.document()
        set_document_text(document, self.text)
        self.states = {0: self.text}
        """By how many steps can be undone there."""

    def words(self, count: int) -> list[str]:
        return [f"é{next(self.numbers):05}" for _ in range(count)]

    def select_words(self) -> QTextCursor:
        found = list(re.finditer(r"é\d{5}", self.text))
        first = self.random.randrange(len(found) - 1)
        last = min(first + self.random.randrange(5), len(found) - 1)
        return self.cursor(found[first].start(), found[last].end())

    def cursor(self, start: int, end: int) -> QTextCursor:
        cursor = QTextCursor(self.desk.page.document())
        cursor.setPosition(start)
        cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
        return cursor

    @property
    def steps(self) -> int:
        return self.desk.page.document().availableUndoSteps()

    def expect(self, text: str) -> None:
        """After an edit: what could be redone cannot be any more."""
        self.text = text
        self.states = {steps: state for steps, state in self.states.items() if steps < self.steps}
        self.states[self.steps] = text

    # ---------------------------------------------------------------- actions

    def type(self) -> None:
        at = self.random.randrange(len(self.text) + 1)
        word = self.random.choice(["{} ", " {}", "{}\n", "\n\n{}.", "{}"]).format(*self.words(1))
        self.cursor(at, at).insertText(word)
        self.expect(self.text[:at] + word + self.text[at:])

    def delete(self) -> None:
        if self.text.count("é") > 12:
            cursor = self.select_words()
            start, end = cursor.selectionStart(), cursor.selectionEnd()
            cursor.removeSelectedText()
            self.expect(self.text[:start] + self.text[end:])

    def undo(self) -> None:
        if self.steps:
            self.desk.page.undo()
            self.text = self.states[self.steps]

    def redo(self) -> None:
        if self.desk.page.document().isRedoAvailable():
            self.desk.page.redo()
            self.text = self.states[self.steps]

    def redraft(self) -> None:
        self.desk.page.setTextCursor(self.select_words())
        self.desk.commands.redraft_selection(self.random.choice(OF_SELECTION))

    def draft(self) -> None:
        if not self.desk.drafts.overlays or self.random.random() < 0.3:
            self.desk.commands.draft_at([self.select_words() for _ in range(self.random.randint(1, 2))])

    def bridge(self) -> None:
        put_caret(self.desk.page, self.random.randrange(len(self.text)))
        self.desk.commands.bridge()

    def keep(self) -> None:
        if (draft := self.desk.drafts.current) and (shown := draft.shown):
            placement, (start, end) = draft.placement, draft.placement.bounds
            assert self.text[start:end] == placement.replaced
            put_in = placement.separator + shown.text + placement.tail
            self.desk.commands.keep()
            before = self.text
            self.expect(self.text[:start] + put_in + self.text[end:])
            for text, turn in ((before, self.desk.page.undo), (self.text, self.desk.page.redo)):
                turn()  # one step
                assert self.desk.page.text() == text

    def discard(self) -> None:
        if draft := self.desk.drafts.current:
            draft.discard()

    def retry(self) -> None:
        if draft := self.desk.drafts.current:
            draft.retry()

    def stop(self) -> None:
        if draft := self.desk.drafts.current:
            draft.stop()

    def show(self) -> None:
        if draft := self.desk.drafts.current:
            draft.show(self.random.randrange(5))

    def bring_back(self) -> None:
        self.desk.commands.bring_back()

    def go(self) -> None:
        if drafts := list(self.desk.drafts.overlays):
            self.desk.drafts.go_to_draft(self.random.choice(drafts))

    async def wait(self) -> None:
        await self.desk.until(lambda: not any(draft.develops for draft in self.desk.drafts.overlays))

    async def act(self) -> None:
        self.engine.says = " ".join(self.words(3))
        often = [self.type, self.redraft, self.keep, self.undo]
        rare = [self.delete, self.redo, self.draft, self.bridge, self.discard, self.retry, self.stop]
        rare += [self.show, self.bring_back, self.go]
        self.random.choice([*often, *often, *rare])()
        if self.random.random() < 0.4:
            await self.wait()

    def check(self) -> None:
        document = self.desk.page.document()
        assert self.desk.page.text() == self.text
        for draft in self.desk.drafts.overlays:
            assert draft.state is not DraftState.ENDED
            assert text_between(document, *draft.placement.bounds) == draft.placement.replaced


@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_the_document_equals_a_plain_string(desk: Desk, engine: ScriptedEngine, run: Run, seed: int) -> None:
    writer = Writer(desk, engine, seed)

    async def scenario() -> None:
        for _ in range(ACTIONS):
            await writer.act()
            writer.check()
        desk.drafts.discard_all()
        while writer.steps:
            writer.undo()
            writer.check()

    run(scenario())
