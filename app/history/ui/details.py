"""One draft of the history: what can be done with it, its text, where it comes from."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from app.history.actions import HistoryActions
from app.history.record import DraftRecord, VariantRecord
from app.history.replay.trace import Trace
from app.history.ui.replay_view import ReplayView
from app.history.words import facts
from app.widgets.labels import tool_button
from app.widgets.panel import MARGIN, SCROLL_BAR, breakable, link, named, text_label
from app.widgets.wrapping_row import WrappingRow


class DraftDetails(QWidget):
    """Shows one variant of it at a time."""

    def __init__(self, actions: HistoryActions, replay: ReplayView, width: int) -> None:
        """replay: takes the text's place while the writer looks at the steps."""
        super().__init__()
        self._actions = actions
        self.replay = replay
        replay.left.connect(self._leave_replay)
        self.record: DraftRecord | None = None
        self.number = 0
        """Of the variant that is shown."""
        self.text = text_label("Draft")
        self.facts = text_label("About this draft", quiet=True)
        for label in (self.text, self.facts):
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.previous = tool_button("‹", "Previous draft of this place", lambda: self.show_variant(-1))
        self.next = tool_button("›", "Next draft of this place", lambda: self.show_variant(1))
        self.variant = QLabel()
        self.variant.setProperty("quiet", True)
        self.insert = link("Insert", self._insert, "Insert at the caret")
        self.copy = link("Copy", self._copy, "Copy the draft")
        self.compare = link("Compare", self._compare, "Compare with your text")
        self.again = link("Draft again", self._draft_again, "Draft again with the same seed")
        self.steps = link("Replay", self._turn_replay, "See how the draft developed, step by step")
        self.prompt = link("What was sent", self._show_prompt)
        self.delete = link("Delete…", self._delete, "Delete it from the history")
        self._scroll = _Scroll()
        self._build(width)
        self.show_draft(None)

    def _build(self, width: int) -> None:
        variants = QHBoxLayout()
        variants.setSpacing(2)
        for part in (self.previous, self.variant, self.next):
            part.setProperty("bare", True)
            variants.addWidget(part)
        variants.addStretch(1)
        variants.addWidget(self.steps)
        head = QVBoxLayout()
        head.setContentsMargins(MARGIN, 6, MARGIN, 0)
        head.addWidget(
            WrappingRow(self.insert, self.copy, self.compare, self.again, self.prompt, self.delete)
        )
        head.addLayout(variants)
        content = QWidget()
        content.setProperty("panel", True)
        content.setMaximumWidth(width - SCROLL_BAR)
        rows = QVBoxLayout(content)
        rows.setContentsMargins(MARGIN, 6, MARGIN - SCROLL_BAR, 8)
        rows.setSpacing(10)
        rows.addWidget(self.text)
        rows.addWidget(self.facts)
        rows.addStretch(1)
        self._scroll.setWidget(content)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(2)
        outer.addLayout(head)
        outer.addWidget(self._scroll)
        beside = QVBoxLayout()
        beside.setContentsMargins(MARGIN, 0, MARGIN, 0)
        beside.addWidget(self.replay)
        outer.addLayout(beside)
        self.replay.hide()

    def set_prose_font(self, font: QFont) -> None:
        self.text.setFont(font)
        self.replay.set_prose_font(font)

    def set_highest(self, height: int) -> None:
        """px, of the text and the facts."""
        self._scroll.setMaximumHeight(height)
        self.replay.setFixedHeight(max(height, self.replay.minimumSizeHint().height()))

    @property
    def shown(self) -> VariantRecord | None:
        return self.record.variants[self.number] if self.record else None

    def show_draft(self, record: DraftRecord | None, query: str = "") -> None:
        """The variant that has what was looked for: the one that was kept, else the first. None: nothing."""
        same = self.record and record and self.record.id == record.id
        self.record = record
        if not same:
            self.number = _best(record, query.casefold().split()) if record else 0
        self.setVisible(record is not None)
        self._show()

    def show_variant(self, by: int) -> None:
        """Another one of the same draft."""
        if self.record and 0 <= self.number + by < len(self.record.variants):
            self.number += by
            self._show()

    def _show(self) -> None:
        record, shown = self.record, self.shown
        self._show_steps(None)
        if record is None or shown is None:
            self.text.clear()
            return
        self.text.setText(shown.text)
        self.facts.setText(breakable(facts(record, self.number)))
        count = len(record.variants)
        for part in (self.previous, self.variant, self.next):
            part.setVisible(count > 1)
        self.previous.setEnabled(self.number > 0)
        self.next.setEnabled(self.number + 1 < count)
        self.variant.setText(f"{self.number + 1} of {count}")
        self._scroll.verticalScrollBar().setValue(0)
        self._scroll.updateGeometry()

    # ---------------------------------------------------------------- what is done with it

    def _insert(self) -> None:
        if self.record and (shown := self.shown):
            self._actions.insert(shown.text, self.record.model)

    def _copy(self) -> None:
        if self.record and (shown := self.shown):
            self._actions.copy(shown.text, self.record.model)

    def _compare(self) -> None:
        if shown := self.shown:
            self._actions.compare(shown.text)

    def _draft_again(self) -> None:
        if self.record:
            self._actions.draft_again(self.record)

    def _turn_replay(self) -> None:
        """Its steps in place of the text, or the text again."""
        if self.replay.replay is not None:
            self._show_steps(None)
        elif self.record:
            asked = self.record, self.number
            self._actions.replay(self.record.id, self.number, partial(self._on_steps, asked))

    def _on_steps(self, asked: tuple[DraftRecord, int], trace: Trace) -> None:
        if asked == (self.record, self.number):
            self._show_steps(trace)
            if self.replay.replay:
                self.replay.controls.setFocus()
                self.replay.replay.turn()

    def _leave_replay(self) -> None:
        self._show_steps(None)
        self.steps.setFocus()

    def _show_steps(self, trace: Trace | None) -> None:
        self.replay.show_trace(trace)
        self.replay.setVisible(trace is not None)
        self._scroll.setVisible(trace is None)
        self.steps.setText("Replay" if trace is None else "Its text")

    def _show_prompt(self) -> None:
        if self.record:
            self._actions.show_prompt(self.record)

    def _delete(self) -> None:
        if self.record:
            self._actions.ask_delete(self.record.id)


def _best(record: DraftRecord, words: list[str]) -> int:
    shown_first = record.kept or 0
    order = [shown_first, *range(len(record.variants))]
    texts = [variant.text.casefold() for variant in record.variants]
    return next((n for n in order if all(word in texts[n] for word in words)), shown_first)


class _Scroll(QScrollArea):
    """As high as what is in it, where there is room. Tab comes here, and the arrows scroll."""

    def __init__(self) -> None:
        super().__init__(widgetResizable=True)
        named(self, "Draft")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setProperty("panel", True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)

    def sizeHint(self) -> QSize:
        content = self.widget()
        return QSize(0, content.heightForWidth(self.viewport().width())) if content else super().sizeHint()

    def minimumSizeHint(self) -> QSize:
        return QSize(0, 3 * self.fontMetrics().lineSpacing())
