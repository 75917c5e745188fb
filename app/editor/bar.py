"""What stands beside a draft: its bar, and the quiet button that asks for one."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QApplication, QFrame, QHBoxLayout, QToolButton, QWidget

from app.drafting import Drafting, State
from app.editor.page import Page
from app.widgets import quiet_label, tool_button


class ProgressLine(QWidget):
    """A thin line that fills: share, 0 … 1."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.share = 0.0
        self.setFixedSize(96, 4)

    def set_share(self, share: float) -> None:
        self.share = share
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        for colour, width in (
            (self.palette().mid().color(), float(self.width())),
            (QColor(self.palette().accent().color()), self.share * self.width()),
        ):
            painter.setBrush(colour)
            painter.drawRoundedRect(QRectF(0, 0, width, self.height()), 2, 2)


class DraftBar(QFrame):
    """Step and Stop while a draft develops; Keep, Retry and the variants when it has settled."""

    def __init__(self, page: Page, drafting: Drafting) -> None:
        super().__init__(page.viewport())
        self._page = page
        self._drafting = drafting
        self.setObjectName("draftBar")
        self.setFont(QApplication.font())
        self.setAccessibleName("Draft")
        self.setCursor(Qt.CursorShape.ArrowCursor)
        row = QHBoxLayout(self)
        row.setContentsMargins(9, 4, 9, 4)
        row.setSpacing(4)
        self.progress = ProgressLine()
        self.label = quiet_label("Progress", elided=True)
        self.label.setContentsMargins(8, 0, 4, 0)
        self.keep = tool_button("", "Keep the draft", drafting.keep)
        self.keep.setProperty("primary", True)
        self.retry = tool_button("Retry", "Draft again", drafting.retry)
        self.previous = tool_button("‹", "Show the draft before", lambda: self._step(-1))
        self.variant = quiet_label("Which draft")
        self.next = tool_button("›", "Show the next draft", lambda: self._step(1))
        self.stop = tool_button("Stop", "Stop, and take what stands", drafting.stop)
        self.wait = tool_button("Wait", "Go on waiting", drafting.wait_longer)
        self.restart = tool_button("Restart", "Start the engine afresh", drafting.restart_engine)
        self.discard = tool_button("", "Discard the draft", drafting.discard)
        parts: list[QWidget] = [self.progress, self.label, self.keep, self.retry, self.previous, self.variant]
        for widget in (*parts, self.next, self.wait, self.restart, self.stop, self.discard):
            row.addWidget(widget)
        drafting.changed.connect(self.on_changed)
        drafting.model_changed.connect(self.on_changed)
        page.geometry_changed.connect(self.place, Qt.ConnectionType.QueuedConnection)
        self.hide()

    def _step(self, by: int) -> None:
        self._drafting.show_variant(self._drafting.shown_variant + by)

    def on_changed(self) -> None:
        drafting = self._drafting
        if drafting.state is State.IDLE:
            self.hide()
            return
        settled = drafting.state is State.SETTLED
        several = settled and len(drafting.variants) > 1
        shown: dict[QWidget, bool] = {
            self.progress: not settled and not drafting.stalled,
            self.label: not settled,
            self.keep: settled,
            self.retry: settled,
            self.previous: several,
            self.variant: several,
            self.next: several,
            self.stop: drafting.state is State.DENOISING and not drafting.stalled,
            self.wait: drafting.stalled,
            self.restart: drafting.stalled,
        }
        for widget, visible in shown.items():
            widget.setVisible(visible)
        self.setAccessibleDescription(self._page.draft.settled_text or "")
        self.variant.setText(f"{drafting.shown_variant + 1} of {len(drafting.variants)}")
        self.previous.setEnabled(drafting.shown_variant > 0)
        self.next.setEnabled(drafting.shown_variant + 1 < len(drafting.variants))
        self.label.setText(self._progress_text())
        self.progress.set_share(self._share())
        self.label.setMinimumWidth(self._label_width())
        self.place()
        self.show()
        if (focused := self.focusWidget()) and focused.hasFocus() and not focused.isVisible():
            self._page.setFocus()  # the keys must not end at what has gone

    def _progress_text(self) -> str:
        drafting = self._drafting
        if drafting.stalled:
            return "The engine is not moving"
        if drafting.state is State.DENOISING:
            return f"step {drafting.step} of up to {drafting.max_steps}"
        return "Reading your text" if drafting.loading is None else "Waiting for the model"

    def _label_width(self) -> int:
        """Room for any step, so that the buttons stand still."""
        steps = str(self._drafting.max_steps)
        text = f"step {'8' * len(steps)} of up to {steps}"
        margins = self.label.contentsMargins()
        return self.label.fontMetrics().horizontalAdvance(text) + margins.left() + margins.right() + 2

    def _share(self) -> float:
        drafting = self._drafting
        if drafting.state is State.DENOISING:
            return drafting.step / max(1, drafting.max_steps)
        return drafting.loading.fraction if drafting.loading is not None else 0.0

    def place(self) -> None:
        """Under the draft's last line, aligned with the column."""
        top, left = self._page.draft.bar_top(), round(self._page.document().documentMargin())
        if top is None:
            return
        room = self._page.viewport().width() - left
        for keys in (("  ↵", "  Esc"), ("", "")):
            self.keep.setText(f"Keep{keys[0]}")
            self.discard.setText(f"Discard{keys[1]}")
            self.adjustSize()
            if self.width() <= room:
                break
            self.progress.hide()
            self.label.setMinimumWidth(1)
        self.setGeometry(left, round(top), min(self.width(), room), self.height())


class DraftButton(QToolButton):
    """Draft paragraph, beside the caret's line: only where a draft could go, and never over text.

    It is placed, like the bar, when Qt has done with a change: asking for places in its midst disturbs it.
    """

    def __init__(self, page: Page, drafting: Drafting) -> None:
        super().__init__(page)
        self._page = page
        self._drafting = drafting
        self.setObjectName("draftButton")
        self.setFont(QApplication.font())
        self.setText("Draft paragraph   Ctrl ↵")
        self.setAccessibleName("Draft paragraph")
        self.setToolTip("Draft a paragraph here (Ctrl+Enter)")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setCursor(Qt.CursorShape.ArrowCursor)
        self.clicked.connect(drafting.draft)
        page.cursorPositionChanged.connect(self.place, Qt.ConnectionType.QueuedConnection)
        page.geometry_changed.connect(self.place, Qt.ConnectionType.QueuedConnection)
        drafting.changed.connect(self.place)
        page.installEventFilter(self)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            self.place()
        return False

    def place(self) -> None:
        """Below the caret's line where nothing stands there, else beside it where there is room."""
        page, cursor = self._page, self._page.textCursor()
        free = self._drafting.state is State.IDLE and not cursor.hasSelection()
        if not free or not cursor.atBlockEnd():
            self.hide()
            return
        self.adjustSize()
        view = page.viewport().geometry()
        caret = page.cursorRect(cursor).translated(view.topLeft())
        if not cursor.block().next().isValid():
            x, y = view.left() + round(page.document().documentMargin()), caret.bottom() + 10
        else:
            x, y = view.right() + 12, caret.center().y() - self.height() // 2
            if x + self.width() > page.width() - page.verticalScrollBar().width():
                x = view.right() - self.width()
                tall = self.height() > 1.25 * page.line_height  # more than the space between lines
                from_the_right = cursor.block().textDirection() == Qt.LayoutDirection.RightToLeft
                if tall or from_the_right or x < caret.right() + 16:
                    self.hide()
                    return
        self.move(x, y)
        self.setVisible(y >= view.top() - 4 and y + self.height() <= view.bottom() + 1)
