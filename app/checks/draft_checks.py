"""The DraftChecks: look a page's drafts over once they have settled."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot

from app.drafting.controller import DraftController
from app.drafting.draft_session import DraftSession
from app.drafting.draft_words import DraftWords
from app.drafting.finding import Finding, summary
from app.editor.page import Page
from app.settings.store import SettingsStore
from app.widgets.timers import timer

REACH_CHARACTERS = 100_000
"""Of the text on either side: about as much as the longest prompt holds."""


class DraftChecks(QObject):
    """Each variant is checked once, when it is first shown, by the text as it is then, and after the frame
    that shows it.
    """

    def __init__(self, page: Page, drafts: DraftController, settings: SettingsStore) -> None:
        super().__init__(drafts)
        self._page = page
        self._drafts = drafts
        self._settings = settings
        self._due = timer(self, self._check, 0, single_shot=True)
        drafts.changed.connect(self._on_changed)
        settings.changed.connect(self._on_changed)

    @property
    def _wanted(self) -> tuple[bool, bool]:
        return self._settings.current.check_glitches, self._settings.current.check_facts

    def _unchecked(self) -> list[tuple[DraftSession, DraftWords]]:
        shown = [(draft, draft.words) for draft in self._drafts.overlays]
        return [(draft, words) for draft, words in shown if words and words.looked_for != self._wanted]

    @Slot()
    def _on_changed(self) -> None:
        if self._unchecked():
            self._due.start()

    def _check(self) -> None:
        for draft, words in self._unchecked():
            words.findings, words.looked_for = self._findings(draft, words.text), self._wanted
            if told := summary(words.findings):
                self._page.announce(told)
            draft.changed.emit()

    def _findings(self, draft: DraftSession, text: str) -> tuple[Finding, ...]:
        from app.checks.facts import new_facts  # the first paint does not need them
        from app.checks.glitches import glitches

        placement, (checks_glitches, checks_facts) = draft.placement, self._wanted
        if placement.in_code:
            return ()
        around = placement.context(REACH_CHARACTERS)
        found = glitches(text, around.before, placement.tail + around.after) if checks_glitches else ()
        if checks_facts:
            asked = f"{placement.passage}\n{draft.instruction}"
            found += new_facts(text, around.before, around.after, asked)
        return found
