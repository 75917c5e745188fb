"""Enter, Tab, Esc and Ctrl+Right at a draft."""

from __future__ import annotations

from time import monotonic

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence

from app.drafting.controller import DraftController
from app.drafting.draft_commands import DraftCommands
from app.drafting.draft_session import DraftSession, DraftState
from app.editor.page import Page
from app.widgets.timers import timer

SETTLED_KEY_DELAY_S = 0.3
"""A settled draft takes keys only after this long: keys already on their way are the writer's."""
_KEEP_KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Tab)
_NEXT_WORD = QKeySequence.StandardKey.MoveToNextWord
_PLAIN = (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)


class DraftKeys(QObject):
    """The keys are a draft's while the caret is at it and in view: settled a while ago, nothing typed since.
    Going to the draft arms them again. Anywhere else they do what they always do.

    Enter and Tab that come before are meant for the draft too, if nothing was typed since it was asked for:
    they do nothing.
    """

    changed = Signal()
    """Whether the keys are the current draft's is another thing now."""

    def __init__(self, page: Page, drafts: DraftController, commands: DraftCommands) -> None:
        super().__init__(drafts)
        self._page = page
        self._drafts = drafts
        self._commands = commands
        self._edited_at_s = 0.0
        self._armed_at_s = 0.0
        self._held = False
        self._rest = timer(self, self._look, round(1000 * SETTLED_KEY_DELAY_S) + 20, single_shot=True)
        page.document().contentsChanged.connect(self._on_edited)
        page.cursorPositionChanged.connect(self._look)
        page.geometry_changed.connect(self._look)
        drafts.changed.connect(self._rest.start)
        drafts.reached.connect(self._on_reached)
        page.installEventFilter(self)

    @property
    def held(self) -> bool:
        """Whether Enter keeps and Esc discards the current draft now."""
        draft = self._drafts.at_caret
        if draft is None or draft.state is not DraftState.SETTLED or not self._drafts.is_watched(draft):
            return False
        rested = monotonic() - draft.settled_at_s >= SETTLED_KEY_DELAY_S
        return rested and self._edited_at_s < max(draft.settled_at_s, self._armed_at_s)

    def _on_edited(self) -> None:
        self._edited_at_s = monotonic()
        self._look()

    def _on_reached(self) -> None:
        self._armed_at_s = monotonic()
        self._look()

    def _look(self) -> None:
        if self.held != self._held:
            self._held = not self._held
            self.changed.emit()

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        if not isinstance(event, QKeyEvent) or event.type() != QEvent.Type.KeyPress:
            return False
        draft = self._drafts.at_caret
        if draft and draft.can_part and self.held and event.matches(_NEXT_WORD):
            self._commands.keep_sentence()
            return True
        if draft is None or event.modifiers() not in _PLAIN:
            return False
        keeps, discards = event.key() in _KEEP_KEYS, event.key() == Qt.Key.Key_Escape
        if discards and (draft.develops or self.held):
            draft.discard()
        elif keeps and self.held:
            self._commands.keep()
        else:
            return keeps and self._comes_early(draft)
        return True

    def _comes_early(self, draft: DraftSession) -> bool:
        soon = draft.develops or monotonic() - draft.settled_at_s < SETTLED_KEY_DELAY_S
        return soon and self._edited_at_s < draft.asked_at_s and self._drafts.is_watched(draft)
