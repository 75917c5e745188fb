"""Enter, Tab and Esc at a draft."""

from __future__ import annotations

from time import monotonic

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent

from app.drafting.controller import DraftController
from app.drafting.draft_session import DraftSession, DraftState
from app.editor.page import Page

SETTLED_KEY_DELAY_S = 0.3
"""A settled draft takes keys only after this long: keys already on their way are the writer's."""
_KEEP_KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Tab)
_PLAIN = (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)


class DraftKeys(QObject):
    """The keys are a draft's while the caret is at it: settled a while ago, in view, nothing typed since. Esc
    also ends one that develops. Anywhere else they do what they always do.
    """

    def __init__(self, page: Page, drafts: DraftController) -> None:
        super().__init__(drafts)
        self._drafts = drafts
        self._edited_at_s = 0.0
        page.document().contentsChanged.connect(self._on_edited)
        page.installEventFilter(self)

    def _on_edited(self) -> None:
        self._edited_at_s = monotonic()

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        if not isinstance(event, QKeyEvent) or event.type() != QEvent.Type.KeyPress:
            return False
        draft = self._drafts.at_caret
        if draft is None or event.modifiers() not in _PLAIN:
            return False
        settled = draft.state is DraftState.SETTLED
        if settled and not self._takes_keys(draft):
            return False
        if event.key() == Qt.Key.Key_Escape:
            draft.discard()
        elif settled and event.key() in _KEEP_KEYS:
            self._drafts.keep()
        else:
            return False
        return True

    def _takes_keys(self, draft: DraftSession) -> bool:
        settled_at_s = self._drafts.overlays[draft].settled_at_s
        rested = monotonic() - settled_at_s >= SETTLED_KEY_DELAY_S
        return rested and self._edited_at_s < settled_at_s and self._drafts.is_seen(draft)
