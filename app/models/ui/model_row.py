"""One model in the list: what it is, whether it fits, its state and its buttons."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QFont, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.models.model_entry import ModelEntry
from app.models.row_state import LoadConditions, ModelUse, row_state
from app.models.ui.model_actions import ModelActions
from app.widgets.combo_box import ComboBox
from app.widgets.panel import breakable, filled, link, named, show_linked, tame, text_label
from app.widgets.progress_line import ProgressLine
from engine.protocol.errors import Fault
from engine.protocol.events import Device


class ModelRow(QFrame):
    """Shows the RowState of an entry."""

    def __init__(self, entry: ModelEntry, acts: ModelActions) -> None:
        super().__init__()
        self.setObjectName("modelRow")
        self.setAccessibleName(entry.label)
        self.entry = entry
        self._acts = acts
        self._use: ModelUse | None = None
        self._conditions = LoadConditions((), 0, 1, False, 0)
        self._choice = "auto"
        self._explained: Fault | None = None
        """The failure of a load after which a scan has found a problem, which is told in its place."""
        self._unmeasured: Device | None = None
        name = text_label("Model")
        name.setText(breakable(entry.label))
        name.setAccessibleName(entry.label)
        font = name.font()
        font.setWeight(QFont.Weight.DemiBold)
        name.setFont(font)
        self.size_label = text_label("Size", quiet=True)
        self.size_label.setWordWrap(False)
        self.licence = link("", lambda: acts.show_licence(self.entry))
        good_at = text_label("What it is good at", quiet=True)
        good_at.setText(entry.good_at)
        self.source = text_label("Where it comes from", quiet=True)
        self.precision = named(ComboBox(), f"Precision of {entry.label}")
        self.precision.setToolTip(
            "How exactly the model’s numbers are kept. Full precision is as it was trained, 32-bit is finer "
            "still; 8-bit needs little more than half of the memory, 4-bit a good third. Automatic is the "
            "most exact that fits."
        )
        self.precision.activated.connect(self._on_precision)
        self.precision.settled.connect(self._on_precision_settled)
        tame(self.precision)
        self._caption = QLabel("Precision")
        self._caption.setProperty("quiet", True)
        self._caption.setBuddy(self.precision)
        self.verdict = text_label("Whether it fits")
        self.state = text_label("State", quiet=True)
        self.fault = text_label("What went wrong")
        self.line = ProgressLine()
        self.line.setMinimumWidth(0)
        self.line.setMaximumWidth(16777215)
        self.token = named(QLineEdit(), "Access token")
        self.token.setPlaceholderText("Access token")
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.token.returnPressed.connect(self._on_download)
        self._build_acts()
        facts = filled(QHBoxLayout(), self.size_label, self.licence, spacing=10)
        facts.addStretch(1)
        plan = filled(QHBoxLayout(), self._caption, self.precision)
        plan.setStretch(1, 1)
        buttons = filled(QHBoxLayout(), *self.acts, spacing=14)
        buttons.addStretch(1)
        about = filled(QVBoxLayout(), name, facts, good_at, self.source, spacing=2)
        about.addSpacing(4)
        state = filled(QVBoxLayout(), self.state, self.line, self.fault, self.token)
        rows = filled(QVBoxLayout(self), about, plan, self.verdict, state, buttons, spacing=6)
        rows.setContentsMargins(0, 14, 0, 14)

    def _build_acts(self) -> None:
        acts = self._acts
        self.use, self.download, self.resume, self.pause = (QPushButton() for _ in range(4))
        self.use.clicked.connect(lambda: acts.use(self.entry, self._chosen))
        self.download.clicked.connect(self._on_download)
        self.resume.clicked.connect(self._on_download)
        self.pause.clicked.connect(lambda: acts.pause(self.entry))
        self.free = link("", acts.unload)
        self.cancel = link("", lambda: acts.ask_cancel(self.entry))
        self.remove = link("", lambda: acts.ask_remove(self.entry))
        self.forget = link("", lambda: acts.forget(self.entry))
        self._harmless = [self.use, self.download, self.resume, self.pause, self.free]
        self.acts = [*self._harmless, self.cancel, self.remove, self.forget]
        """What can be done with it."""

    @property
    def controls(self) -> list[QWidget]:
        """All that take keys, from the top."""
        return [self.licence, self.source, self.precision, self.fault, self.token, *self.acts]

    def show_entry(self, entry: ModelEntry, use: ModelUse | None, conditions: LoadConditions) -> None:
        """use: None for a model that the settings do not name."""
        self.entry, self._use, self._conditions = entry, use, conditions
        if use and entry.local and entry.local.problem:
            self._explained = use.fault
        self.refresh()

    def refresh(self) -> None:
        state = row_state(self.entry, self._use, self._conditions, self._choice, self._explained)
        self.size_label.setText(state.size)
        metrics = self.licence.fontMetrics()
        room = 24 * metrics.averageCharWidth()
        self.licence.setText(metrics.elidedText(state.licence, Qt.TextElideMode.ElideRight, room))
        self.licence.setAccessibleName(f"Licence of {self.entry.label}: {self.entry.licence}")
        show_linked(self.source, state.source)
        self.source.setAccessibleName(state.source)
        self.precision.show_choices(state.precisions, state.chosen)
        self.precision.setAccessibleDescription(state.verdict)
        self.verdict.setText(state.verdict)
        self._unmeasured = state.unmeasured
        self._ask_for_link()
        show_linked(self.fault, state.fault)
        if self.state.property("quiet") is state.warns:
            self.state.setProperty("quiet", not state.warns)
            self.state.style().unpolish(self.state)  # the stylesheet looks again
            self.state.style().polish(self.state)
        self.state.setText(state.progress)
        self.line.set_share(state.share)
        acts: dict[QPushButton, str] = {getattr(self, name): text for name, text in state.acts.items()}
        focused = self.window().focusWidget()  # also while a question has the keys
        left = focused in self.acts and not acts[focused]
        for button, text in acts.items():
            button.setText(text)
            button.setAccessibleName(f"{text}: {self.entry.label}")
        labels: list[QLabel | QPushButton] = [
            self.size_label,
            self.source,
            self.fault,
            self.state,
            self.licence,
        ]
        for told in (*labels, *acts):
            told.setVisible(bool(told.text()))
        for widget in (self.precision, self._caption, self.verdict):
            widget.setVisible(state.plans)
        self.line.setVisible(state.moves)
        self.token.setVisible(state.asks_token)
        if left:  # the next press must not be the one that deletes
            next((button for button in self._harmless if acts[button]), self.precision).setFocus()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._ask_for_link()

    def _ask_for_link(self) -> None:
        """Where the verdict needs it, and is seen."""
        if self._unmeasured and self.isVisible():
            self._acts.measure_link(self._unmeasured)

    @property
    def _chosen(self) -> str:
        return self._use.precision if self._use else self._choice

    def _on_precision(self) -> None:
        self._choice = self.precision.currentData()
        if not self._use:
            self.refresh()

    def _on_precision_settled(self) -> None:
        if self._choice != self._chosen:
            self._acts.use(self.entry, self._choice)

    def _on_download(self) -> None:
        self._acts.download(self.entry, self.token.text())
        self.token.clear()
