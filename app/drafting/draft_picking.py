"""Picking words of a settled draft by mouse and keyboard."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QMimeData, QObject, QPointF, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QGuiApplication, QKeyEvent, QKeySequence, QMouseEvent
from PySide6.QtWidgets import QApplication

from app.drafting.controller import DraftController
from app.drafting.draft_session import DraftSession
from app.drafting.finding import reasons_at
from app.editor.page import Page
from engine.protocol.requests import Span

_PRESSES = (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonDblClick)
_STEPS: dict[int, int] = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}


class DraftPicking(QObject):
    """In a settled draft's lines a click pins a word or frees it, a drag selects. While words are selected
    and the caret is at the draft, arrows go from word to word, with Shift they select on, Space pins, Esc
    leaves. Ctrl+C copies what is selected, unless something is selected in the text.
    """

    copying = Signal(QMimeData, DraftSession)
    """What is selected in the draft goes into this."""
    stepped = Signal()
    """By keys to other words of the current draft."""

    def __init__(self, page: Page, drafts: DraftController) -> None:
        super().__init__(drafts)
        self._page = page
        self._drafts = drafts
        self._pressed: DraftSession | None = None
        self._pressed_at = QPointF()
        self._drags = False
        page.typed.connect(self.leave)
        page.installEventFilter(self)
        page.viewport().installEventFilter(self)

    def begin(self) -> None:
        """Select the first word of the current draft, to go on by keys."""
        if (draft := self._drafts.current) and (words := draft.words):
            self._drafts.go_to_draft()
            words.head = None
            words.step(0)
            draft.changed.emit()

    def pin(self) -> None:
        """What is selected in the current draft; free it if it is pinned."""
        if (draft := self._drafts.current) and (words := draft.words) and (selected := words.selected):
            words.toggle(selected)
            draft.changed.emit()

    def leave(self) -> None:
        """Nothing is selected in the current draft any more."""
        draft = self._drafts.current
        if draft and draft.words and draft.words.head is not None:
            draft.words.head = None
            draft.changed.emit()

    def copy(self) -> None:
        """What is selected in the text, else in the current draft."""
        if not self._page.textCursor().hasSelection() and (draft := self._drafts.current) and draft.words:
            if text := draft.words.selected_text:
                data = self._page.mime_data(text)
                self.copying.emit(data, draft)
                QGuiApplication.clipboard().setMimeData(data)
        else:
            self._page.copy()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QContextMenuEvent) and watched is not self._page:
            is_drafts = self._draft_at(QPointF(event.pos())) is not None
            if is_drafts:
                self._page.show_menu(event.globalPos())
            return is_drafts
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            return watched is self._page and self._on_key(event)
        return isinstance(event, QMouseEvent) and watched is not self._page and self._on_mouse(event)

    # ---------------------------------------------------------------- keys

    def _on_key(self, event: QKeyEvent) -> bool:
        draft = self._drafts.current
        words = draft.words if draft else None
        if draft is None or words is None or words.selected is None:
            return False
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
            return True
        shift = event.modifiers() == Qt.KeyboardModifier.ShiftModifier
        if not self._drafts.is_watched(draft) or not (shift or not event.modifiers()):
            return False
        if by := _STEPS.get(event.key()):
            words.step(by, extends=shift)
            reasons = reasons_at(words.findings, words.selected)
            self._page.announce(f"{words.selected_text}. {reasons}" if reasons else words.selected_text)
            draft.changed.emit()
            self.stepped.emit()
        elif event.key() == Qt.Key.Key_Space:
            self.pin()
        elif event.key() == Qt.Key.Key_Escape:
            self.leave()
        else:
            return False
        return True

    # ---------------------------------------------------------------- mouse

    def _on_mouse(self, event: QMouseEvent) -> bool:
        """Whether it was the draft's, and is no more of the text's."""
        place = event.position()
        if event.type() in _PRESSES:
            self._on_press(place)
        elif (draft := self._pressed) is None:
            return False
        elif event.type() == QEvent.Type.MouseMove:
            self._on_drag(draft, place)
        elif event.type() == QEvent.Type.MouseButtonRelease:
            self._pressed = None
            if event.button() == Qt.MouseButton.LeftButton and not self._drags:
                self._on_click(draft, place)
            return True
        return self._pressed is not None

    def _draft_at(self, place: QPointF) -> DraftSession | None:
        """The settled one whose lines the place is in."""
        overlays = self._drafts.overlays.items()
        return next(
            (draft for draft, overlay in overlays if draft.words and overlay.geometry.holds(place)), None
        )

    def _on_press(self, place: QPointF) -> None:
        draft = self._draft_at(place)
        if draft is None:
            self.leave()
        elif draft is not self._drafts.current:
            self._page.setTextCursor(draft.placement.cursor)
        self._pressed, self._pressed_at, self._drags = draft, place, False

    def _on_drag(self, draft: DraftSession, place: QPointF) -> None:
        away = (place - self._pressed_at).manhattanLength()
        self._drags = self._drags or away >= QApplication.startDragDistance()
        if self._drags and (words := draft.words):
            overlay = self._drafts.overlays[draft]
            words.anchor, words.head = (
                overlay.geometry.character_at(self._pressed_at),
                overlay.geometry.character_at(place),
            )
            draft.changed.emit()

    def _on_click(self, draft: DraftSession, place: QPointF) -> None:
        """Pin the word or free it; where something is selected, let go of that instead."""
        words = draft.words
        if words is None:
            return
        at = self._drafts.overlays[draft].geometry.character_at(place)
        if words.head is not None:
            words.head = None
        else:
            words.toggle(Span(at, at + 1))
        draft.changed.emit()
