"""The bar under a draft: progress, Keep, Retry, Discard, variants."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QFrame, QHBoxLayout, QWidget

from app.drafting.draft_session import DraftSession, DraftState
from app.editor.page import Page
from app.widgets.labels import quiet_label, tool_button
from app.widgets.progress_line import ProgressLine


class DraftBar(QFrame):
    """Step and Stop while a draft develops; Keep, Retry and the variants when it has settled."""

    def __init__(self, page: Page, drafting: DraftSession) -> None:
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
        if drafting.state is DraftState.IDLE:
            self.hide()
            return
        settled = drafting.state is DraftState.SETTLED
        several = settled and len(drafting.variants) > 1
        shown: dict[QWidget, bool] = {
            self.progress: not settled and not drafting.stalled,
            self.label: not settled,
            self.keep: settled,
            self.retry: settled,
            self.previous: several,
            self.variant: several,
            self.next: several,
            self.stop: drafting.state is DraftState.DENOISING and not drafting.stalled,
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
        if drafting.state is DraftState.DENOISING:
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
        if drafting.state is DraftState.DENOISING:
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
