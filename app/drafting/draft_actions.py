"""What can be done with a draft: one QAction each, for menus, bar and keys alike."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QKeySequence

from app.drafting.controller import DraftController
from app.drafting.draft_commands import DraftCommands
from app.drafting.draft_picking import DraftPicking
from app.drafting.draft_session import DraftSession, DraftState
from app.drafting.verbs import OF_SELECTION, Verb

_NATIVE = QKeySequence.SequenceFormat.NativeText
MENDS = "Draft only the words anew that are marked with a wavy line (F7)"
CANNOT_REDRAFT = "This model’s engine can only continue a text"


class DraftActions(QObject):
    """They act on the current draft, and are enabled as its state allows.

    A key behind a tab is only shown: what it does differs from state to state.
    """

    def __init__(
        self, drafts: DraftController, commands: DraftCommands, picking: DraftPicking, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._drafts = drafts
        self._commands = commands
        on_current = self._on_current
        self.draft = self._action("Draft paragraph\tCtrl+Enter", "Draft paragraph", commands.draft)
        self.draft.setToolTip("Draft paragraph (Ctrl+Enter)")
        self.instruct = self._action("Draft with instruction…", "Say what it should say")
        self.instruct.setShortcuts([QKeySequence(f"Ctrl+Shift+{key}") for key in ("Return", "Enter")])
        self.instruct.setIconText("Ask…")
        self.retry = self._action("Retry", "Draft again", on_current(DraftSession.retry), "Ctrl+R")
        self.stop = self._action(
            "Stop", "Stop, and take what stands", on_current(DraftSession.stop), "Ctrl+."
        )
        self.keep = self._action("Keep\tEnter", "Keep the draft", commands.keep)
        self.keep_sentence = self._action(
            "Keep a sentence\tCtrl+Right", "Keep the draft's next sentence", commands.keep_sentence
        )
        self.pick = self._action(
            "Pick words", "Pick words of the draft by keys", picking.begin, "Ctrl+Shift+P"
        )
        self.pin = self._action("Pin\tSpace", "Redraft leaves pinned words as they are (Space)", picking.pin)
        self.mend = self._action("Mend the marked words", MENDS, on_current(DraftSession.mend), "F7")
        self.mend.setIconText("Mend")
        self.corrections = self._action(
            "Show corrections",
            "Underline what was corrected while the draft developed",
            on_current(_show_corrections),
        )
        self.corrections.setCheckable(True)
        self.replay = self._action("Replay", "See how the draft developed, step by step", key="Ctrl+Shift+Y")
        self.discard = self._action("Discard\tEsc", "Discard the draft", on_current(DraftSession.discard))
        show_previous = on_current(lambda draft: draft.show(draft.shown_variant - 1))
        show_next = on_current(lambda draft: draft.show(draft.shown_variant + 1))
        self.previous = self._action("Previous draft", "Show the draft before", show_previous, "Alt+PgUp")
        self.next = self._action("Next draft", "Show the next draft", show_next, "Alt+PgDown")
        self.keep_all = self._action("Keep all", "Keep all drafts", commands.keep_all, "Ctrl+Shift+K")
        self.discard_all = self._action("Discard all", "Discard all drafts", drafts.discard_all)
        self.go_to = self._action("Go to the draft", "Go to the draft", drafts.go_to_draft, "Ctrl+J")
        self.bring_back = self._action(
            "Bring back the last draft", "Bring back the draft that was discarded last", commands.bring_back
        )
        self.of_selection = [self._verb(verb) for verb in OF_SELECTION]
        self.bridge = self._action(
            "Bridge", "Lead from the text before to the text behind", commands.bridge, "Ctrl+Shift+B"
        )
        self.gaps = self._action(
            "Draft all gaps", "Draft every [[…]] in the text", commands.draft_all_gaps, "Ctrl+Shift+G"
        )
        self.names = self._action(
            "Names and numbers stay",
            "Names, numbers, dates and quotations stay to the letter; turned, the passage is drafted again",
            on_current(_turn_names),
        )
        self.names.setCheckable(True)
        drafts.changed.connect(self._on_changed)
        self._joining = {one: one.toolTip() for one in (*self.of_selection, self.bridge, self.gaps)}
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

    def _verb(self, verb: Verb) -> QAction:
        tool_tip = f"{verb.label} the selected passage ({QKeySequence(verb.key).toString(_NATIVE)})"
        return self._action(verb.label, tool_tip, lambda: self._commands.redraft_selection(verb), verb.key)

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
        self._on_words(draft)
        self.bring_back.setEnabled(self._drafts.can_bring_back)
        several = len(self._drafts.overlays) > 1
        self.keep_all.setEnabled(any(other.shown for other in self._drafts.overlays))  # one is all, too
        self.discard_all.setEnabled(several)
        self.instruct.setEnabled(draft is None or settled)
        shown, count = (draft.shown_variant, draft.count) if draft else (0, 0)
        self.names.setEnabled(settled and draft is not None and bool(draft.placement.passage))
        self.names.setChecked(draft is None or draft.holds_names)
        for action, tool_tip in self._joining.items():
            action.setEnabled(self._commands.redrafts)
            action.setToolTip(tool_tip if self._commands.redrafts else CANNOT_REDRAFT)
        self.previous.setEnabled(shown > 0)
        self.next.setEnabled(shown + 1 < count)

    def _on_words(self, draft: DraftSession | None) -> None:
        """What is picked in the current draft changes what is done with it."""
        words = draft.words if draft else None
        selected = words.selected if words else None
        self.pick.setEnabled(words is not None)
        self.pin.setEnabled(selected is not None)
        self.mend.setEnabled(bool(words and words.glitches) and self._commands.redrafts)
        self.pin.setIconText("Unpin" if words and selected and words.are_pinned(selected) else "Pin")
        self.pin.setText(f"{self.pin.iconText()}\tSpace")
        self.retry.setIconText("Redraft" if words and words.pinned else "Retry")
        self.retry.setText(self.retry.iconText())
        self.retry.setToolTip(
            "Draft anew around the pinned words" if words and words.pinned else "Draft again"
        )
        self.replay.setEnabled(bool(draft and draft.shown and not draft.shown.is_rest))
        can_part = draft is not None and draft.can_part
        is_part = can_part and selected is not None
        self.keep.setIconText("Keep part" if is_part else "Keep")
        self.keep.setToolTip("Keep only what is selected" if is_part else "Keep the draft")
        self.keep_sentence.setEnabled(can_part)
        count = len(words.of(draft.shown.corrected)) if words and draft and draft.shown else 0
        self.corrections.setText(f"Show corrections ({count})" if count else "Show corrections")
        self.corrections.setEnabled(count > 0)
        self.corrections.setChecked(count > 0 and draft is not None and draft.shows_corrections)


def _show_corrections(draft: DraftSession) -> None:
    draft.shows_corrections = not draft.shows_corrections
    draft.changed.emit()


def _turn_names(draft: DraftSession) -> None:
    """Redraft the passage with its names held, or no longer."""
    if draft.shown:
        draft.holds_names = not draft.holds_names
        draft.retry()
