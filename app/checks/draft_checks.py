"""The DraftChecks: look a page's drafts over once they have settled."""

from __future__ import annotations

from PySide6.QtCore import QObject

from app.drafting.controller import DraftController
from app.drafting.draft_session import DraftSession
from app.drafting.finding import Finding, summary
from app.editor.page import Page
from app.settings.schema import Settings
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
        self._checked_by = self._wanted()
        self._due = timer(self, self._check, 0, single_shot=True)
        drafts.changed.connect(self._on_changed)
        settings.changed.connect(self._on_settings)

    def _wanted(self, settings: Settings | None = None) -> tuple[bool, bool]:
        chosen = settings or self._settings.current
        return chosen.check_glitches, chosen.check_facts

    def _on_settings(self, chosen: Settings) -> None:
        if self._wanted(chosen) != self._checked_by:
            self._checked_by = self._wanted(chosen)
            for draft in list(self._drafts.overlays):
                draft.set_findings(None)

    def _on_changed(self) -> None:
        if any(draft.shown and draft.findings is None for draft in self._drafts.overlays):
            self._due.start()

    def _check(self) -> None:
        for draft in list(self._drafts.overlays):
            if draft.shown and draft.findings is None:
                findings = self._findings(draft)
                draft.set_findings(findings)
                if told := summary(findings):
                    self._page.announce(told)

    def _findings(self, draft: DraftSession) -> tuple[Finding, ...]:
        from app.checks.facts import new_facts  # the first paint does not need them
        from app.checks.glitches import glitches

        text, placement = draft.text or "", draft.placement
        if placement.in_code:
            return ()
        around, (checks_glitches, checks_facts) = placement.context(REACH_CHARACTERS), self._checked_by
        found = glitches(text, around.before, placement.tail + around.after) if checks_glitches else ()
        if checks_facts:
            asked = f"{placement.passage}\n{draft.instruction}"
            found += new_facts(text, around.before, around.after, asked)
        return found
