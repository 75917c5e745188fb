"""The Engine page of the side panel: set the engine up, repair it, remove it."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QShowEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPushButton,
    QWidget,
)

from app.engine_setup.home import EngineHome
from app.engine_setup.messages import SetUpOrder, Stage
from app.engine_setup.plan import Plans, make_plans
from app.engine_setup.session import SetUpSession, SetUpState
from app.engine_setup.ui.network_fields import NetworkFields
from app.engine_setup.ui.texts import (
    folder_text,
    paused_text,
    plan_text,
    progress_text,
    ready_text,
    share_of,
    update_text,
    what_for,
)
from app.models.download_rate import DownloadRate
from app.settings.store import SettingsStore
from app.widgets.combo_box import ComboBox
from app.widgets.panel import breakable, filled, heading, link, named, page_rows, tame, text_label, title_row
from app.widgets.progress_line import ProgressLine
from app.widgets.question import question, set_default
from app.worker.background import BackgroundCall


class EnginePage(QWidget):
    back = Signal()
    """The writer goes back to the settings."""
    closed = Signal()
    """The writer wants the panel gone."""

    def __init__(
        self,
        session: SetUpSession,
        store: SettingsStore,
        width: int,
        make_plans: Callable[[EngineHome], Plans] = make_plans,
    ) -> None:
        super().__init__()
        self.setProperty("panel", True)
        self.setAccessibleName("Engine")
        self._session = session
        self._store = store
        self._make_plans = make_plans
        self._plans: Plans | None = None
        self._size_bytes = 0
        self._rate = DownloadRate()
        self._stage: Stage = "checking"
        self._look = BackgroundCall("look what the engine needs", self)
        self._look.returned.connect(self._on_looked)
        self.back_link = link("‹  Settings", self.back.emit, "Back to the settings")
        self.state = text_label("State")
        self.facts = text_label("What it takes", quiet=True)
        self.fault = text_label("What went wrong")
        self.line = ProgressLine()
        self.line.setMinimumWidth(0)
        self.line.setMaximumWidth(16777215)
        self.build = named(ComboBox(), "Build of the engine")
        self.build.activated.connect(self._show)
        tame(self.build)
        self._caption = QLabel("For")
        self._caption.setProperty("quiet", True)
        self._caption.setBuddy(self.build)
        self.network = NetworkFields(store)
        self.network.written.connect(self._show)
        self._build_acts()
        rows, _ = page_rows(self, width)
        rows.addLayout(title_row(heading("Engine"), self.closed.emit))
        rows.addWidget(self.back_link, 0, Qt.AlignmentFlag.AlignLeft)
        rows.addSpacing(8)
        filled(rows, self.state, self.line, self.fault)
        rows.addSpacing(8)
        filled(rows, self._caption, self.build, self.facts)
        rows.addSpacing(8)
        buttons = filled(QHBoxLayout(), self.start, self.pause, self.cancel, spacing=14)
        buttons.addStretch(1)
        rows.addLayout(buttons)
        for act in (self.repair, self.remove, self.from_network, self.from_folder):
            rows.addWidget(act, 0, Qt.AlignmentFlag.AlignLeft)
        filled(rows, self.needed)
        rows.addSpacing(4)
        rows.addWidget(self.network)
        rows.addStretch(1)
        session.changed.connect(self._on_changed)
        session.progressed.connect(self._on_progressed)
        self._show()

    def _build_acts(self) -> None:
        self.start, self.pause = QPushButton(), QPushButton("Pause")
        self.start.setProperty("primary", True)
        self.start.clicked.connect(self._on_start)
        self.pause.clicked.connect(self._session.pause)
        self.cancel = link("Cancel", self._ask_cancel)
        self.from_folder = link("From files on this computer…", self._ask_folder)
        self.needed = text_label("What the folder must hold", quiet=True)
        self.from_network = link("From the network", lambda: self._go_on(folder=""))
        self.from_network.setToolTip("Fetch what is missing, in place of what the folder lacks.")
        self.repair = link("Repair", lambda: self._begin())
        self.repair.setToolTip(
            "Fetch what is missing or broken; the old one stays until the new one has drafted a paragraph."
        )
        self.remove = link("Remove…", self._ask_remove)

    # ---------------------------------------------------------------- what the writer does

    @property
    def chosen(self) -> str:
        """The build that would be set up."""
        return str(self.build.currentData() or "")

    def _begin(self, folder: str = "") -> None:
        order = SetUpOrder(backend=self.chosen, folder=folder)
        self._session.begin(msgspec.structs.replace(order, **self._through()))

    def _on_start(self) -> None:
        if self._session.state is SetUpState.PAUSED:
            self._go_on()
        else:
            self._begin()

    def _on_folder(self, folder: str) -> None:
        if self._session.state is SetUpState.PAUSED:
            self._session.resume(folder=folder)
        else:
            self._begin(folder)

    def _go_on(self, **changes: str) -> None:
        self._session.resume(**self._through(), **changes)

    def _through(self) -> dict[str, str]:
        """The network, as the writer has set it now."""
        settings = self._store.current
        mirrors = {"mirror": settings.engine_mirror, "python_mirror": settings.engine_python_mirror}
        return mirrors | {"proxy": self.network.proxy}

    def _ask_folder(self) -> None:
        dialog = QFileDialog(self.window(), "The folder with the engine’s files")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._on_folder)
        dialog.open()

    def _ask_cancel(self) -> None:
        self._ask("Cancel the set-up?", "What has been fetched is deleted.", "Delete", self._session.cancel)

    def _ask_remove(self) -> None:
        price = "Nothing can be drafted until it is set up again. Your texts and models stay."
        self._ask("Remove the engine from this computer?", price, "Remove", self._session.remove)

    def _ask(self, text: str, price: str, answer: str, act: Callable[[], object]) -> None:
        box = question(text, price, self.window())
        yes = box.addButton(answer, QMessageBox.ButtonRole.DestructiveRole)
        keep = box.addButton("Keep", QMessageBox.ButtonRole.RejectRole)
        set_default(box, keep)
        box.setEscapeButton(keep)
        yes.clicked.connect(act)
        box.open()

    # ---------------------------------------------------------------- what is shown

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._look_again()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.back.emit()
        else:
            super().keyPressEvent(event)

    def _look_again(self) -> None:
        if not self._look.busy:
            home = self._session.home
            self._look.start(lambda: (self._make_plans(home), home.size_bytes()))

    def _on_looked(self, found: tuple[Plans, int]) -> None:
        self._plans, self._size_bytes = found
        record = self._session.home.record
        chosen = self.chosen or (record.backend if record else "") or self._plans.best
        choices: dict[object, str] = {name: _sentence(what_for(name)) for name in self._plans.plans}
        self.build.show_choices(choices, chosen if chosen in self._plans.plans else self._plans.best)
        self._show()

    def _on_changed(self) -> None:
        self._rate.reset()
        self._show()
        if self.isVisible():
            self._look_again()

    def _on_progressed(self) -> None:
        progress = self._session.progress
        if progress.stage != self._stage:
            self._rate.reset()
            self._stage = progress.stage
        if progress.total_bytes:
            self._rate.update(time.monotonic(), progress.done_bytes)
        self._show()

    def _show(self) -> None:
        session, state = self._session, self._session.state
        here = state in (SetUpState.READY, SetUpState.OUTDATED)
        running, idle = state is SetUpState.RUNNING, state not in (SetUpState.RUNNING, SetUpState.LEAVING)
        stoppable = running and session.progress.stage != "clearing"
        plans, plan = self._plans, self._plans.plans.get(self.chosen) if self._plans else None
        self.state.setText(breakable(self._state_text()))
        fault = session.fault
        told = f"{fault.message} {fault.remedy}".strip() if fault and idle else ""
        if not told and idle and self._plans and not here:
            told = self._plans.problem
        self.fault.setText(breakable(told))
        settings, home = self._store.current, session.home.folder
        mirrors = settings.engine_mirror, settings.engine_python_mirror
        facts = plan_text(plan, plans, home, *mirrors, is_here=here) if plan and plans else ""
        self.facts.setText(breakable(facts))
        self.needed.setText(breakable(folder_text(plan, plans)) if plan and plans else "")
        self.start.setText(
            {SetUpState.PAUSED: "Go on", SetUpState.OUTDATED: "Update"}.get(state, "Set up the engine")
        )
        self.line.set_share(share_of(session.progress))
        order = session.home.order if state is SetUpState.PAUSED else None
        shown = {
            self.fault: bool(told),
            self.line: running,
            self.pause: stoppable,
            self.cancel: stoppable or state is SetUpState.PAUSED,
            self.start: idle and state is not SetUpState.READY and (plan is not None),
            self.facts: idle and state is not SetUpState.PAUSED and plan is not None,
            self.build: idle and state is not SetUpState.PAUSED and self.build.count() > 0,
            self.from_folder: idle and plan is not None and plan.is_listed,
            self.needed: idle and plan is not None and plan.is_listed,
            self.from_network: bool(order and order.folder),
            self.repair: here,
            self.remove: here,
            self.network: idle,
        }
        shown[self._caption] = shown[self.build]
        focused = self.window().focusWidget()  # also while a question has the keys
        for widget, visible in shown.items():
            widget.setVisible(visible)
        if not shown.get(focused, True):  # the next press must not be one that deletes or fetches
            next((one for one in (self.pause, self.start) if shown[one]), self.back_link).setFocus()

    def _state_text(self) -> str:
        session = self._session
        match session.state:
            case SetUpState.RUNNING:
                return progress_text(session.progress, self._rate, session.waiting)
            case SetUpState.PAUSED:
                return paused_text(session.home.active is not None)
            case SetUpState.LEAVING:
                return "Deleting…"
            case SetUpState.READY | SetUpState.OUTDATED:
                record = session.home.record
                text = ready_text(record.backend, record.torch, self._size_bytes) if record else ""
                plan = self._plans.plans.get(record.backend) if self._plans and record else None
                if session.state is SetUpState.OUTDATED and plan:
                    text = f"{text}\n{update_text(plan)}"
                return text
            case SetUpState.MISSING:
                if self._plans is None:
                    return "Looking at this computer…"
                return (
                    "To draft, Mezzotint needs its engine: PyTorch and what belongs to it, set up once for"
                    " this computer. You can write meanwhile."
                )


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:]
