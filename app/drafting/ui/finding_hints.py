"""Why words of a settled draft are marked, told where they stand."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QPoint, QPointF
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QToolTip

from app.drafting.controller import DraftController
from app.drafting.draft_picking import DraftPicking
from app.drafting.draft_session import DraftSession
from app.drafting.finding import reasons_at
from app.editor.page import Page
from engine.protocol.requests import Span


class FindingHints(QObject):
    """A tooltip, for the mouse that rests there, and for keys that go from word to word."""

    def __init__(self, page: Page, drafts: DraftController, picking: DraftPicking) -> None:
        super().__init__(drafts)
        self._page = page
        self._drafts = drafts
        picking.stepped.connect(self._on_stepped)
        page.viewport().installEventFilter(self)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        return isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip and self._on_rest(event)

    def _on_rest(self, event: QHelpEvent) -> bool:
        place = QPointF(event.pos())
        for draft, overlay in self._drafts.overlays.items():
            if draft.shown and overlay.geometry.holds(place):
                at = overlay.geometry.character_at(place)
                self._show(draft, Span(at, at + 1), event.globalPos())
                return True
        return False

    def _on_stepped(self) -> None:
        draft = self._drafts.current
        if draft and draft.words and (selected := draft.words.selected):
            rects = self._drafts.overlays[draft].geometry.rects_of(selected)
            below = self._page.viewport().mapToGlobal(rects[-1].bottomLeft().toPoint()) if rects else QPoint()
            self._show(draft, selected, below)

    def _show(self, draft: DraftSession, span: Span, place: QPoint) -> None:
        reason = reasons_at(draft.words.findings if draft.words else (), span)
        QToolTip.showText(place, reason, self._page.viewport())
