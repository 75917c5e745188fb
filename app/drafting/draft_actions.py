"""What can be done with a draft: one QAction each, for menus, bar and keys alike."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QKeySequence

from app.drafting.controller import DraftController
from app.drafting.draft_session import DraftSession, DraftState
from app.drafting.verbs import OF_SELECTION, Verb


class DraftActions(QObject):
    """They act on the current draft, and are enabled as its state allows.

    A key behind a tab is only shown: what it does differs from state to state.
    """

    def __init__(self, drafts: DraftController, parent: QObject) -> None:
        super().__init__(parent)
        self._drafts = drafts
        on_current = self._on_current
        self.draft = self._action("Draft paragraph\tCtrl+Enter", "Draft paragraph", drafts.draft)
        self.draft.setToolTip("Draft paragraph (Ctrl+Enter)")
        self.instruct = self._action("Draft with instruction…", "Say what it should say")
        self.instruct.setShortcuts([QKeySequence(f"Ctrl+Shift+{key}") for key in ("Return", "Enter")])
        self.instruct.setIconText("Ask…")
        self.retry = self._action("Retry", "Draft again", on_current(DraftSession.retry), "Ctrl+R")
        self.stop = self._action(
            "Stop", "Stop, and take what stands", on_current(DraftSession.stop), "Ctrl+."
        )
        self.keep = self._action("Keep\tEnter", "Keep the draft", drafts.keep)
        self.discard = self._action("Discard\tEsc", "Discard the draft", on_current(DraftSession.discard))
        show_previous = on_current(lambda draft: draft.show(draft.shown_variant - 1))
        show_next = on_current(lambda draft: draft.show(draft.shown_variant + 1))
        self.previous = self._action("Previous draft", "Show the draft before", show_previous, "Alt+PgUp")
        self.next = self._action("Next draft", "Show the next draft", show_next, "Alt+PgDown")
        self.keep_all = self._action("Keep all", "Keep all drafts", drafts.keep_all, "Ctrl+Shift+K")
        self.discard_all = self._action("Discard all", "Discard all drafts", drafts.discard_all)
        self.go_to = self._action("Go to the draft", "Go to the draft", drafts.go_to_draft, "Ctrl+J")
        self.bring_back = self._action(
            "Bring back the last draft", "Bring back the draft that was discarded last", drafts.bring_back
        )
        self.of_selection = [self._verb(verb, drafts) for verb in OF_SELECTION]
        self.bridge = self._action(
            "Bridge", "Lead from the text before to the text behind", drafts.bridge, "Ctrl+Shift+B"
        )
        self.gaps = self._action(
            "Draft all gaps", "Draft every [[…]] in the text", drafts.draft_all_gaps, "Ctrl+Shift+G"
        )
        drafts.changed.connect(self._on_changed)
        self._on_changed()

    def _action(
        self, text: str, tool_tip: str, act: Callable[[], object] | None = None, key: str = ""
    ) -> QAction:
        action = QAction(text, self)
        action.setIconText(text.partition("\t")[0])
        action.setToolTip(tool_tip)
        action.setShortcut(QKeySequence(key))
        if act:
            action.triggered.connect(lambda: act())
        return action

    def _verb(self, verb: Verb, drafts: DraftController) -> QAction:
        number = OF_SELECTION.index(verb) + 1
        tool_tip = f"{verb.label} the selected passage"
        return self._action(verb.label, tool_tip, lambda: drafts.redraft_selection(verb), f"Alt+{number}")

    def _on_current(self, act: Callable[[DraftSession], None]) -> Callable[[], None]:
        def on_current() -> None:
            if draft := self._drafts.current:
                act(draft)

        return on_current

    def _on_changed(self) -> None:
        draft = self._drafts.current
        settled = draft is not None and draft.state is DraftState.SETTLED
        self.draft.setEnabled(draft is None)
        self.stop.setEnabled(draft is not None and draft.develops)
        for action in (self.retry, self.keep):
            action.setEnabled(settled)
        for action in (self.discard, self.go_to):
            action.setEnabled(draft is not None)
        self.bring_back.setEnabled(bool(self._drafts.dropped) and draft is None)
        several = len(self._drafts.overlays) > 1
        self.keep_all.setEnabled(several and any(other.shown for other in self._drafts.overlays))
        self.discard_all.setEnabled(several)
        self.instruct.setEnabled(draft is None or settled)
        shown, count = (draft.shown_variant, draft.count) if draft else (0, 0)
        self.previous.setEnabled(shown > 0)
        self.next.setEnabled(shown + 1 < count)
