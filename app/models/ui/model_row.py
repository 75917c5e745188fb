"""One model in the list: what it is, whether it fits, its state and its buttons."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.models import progress_text
from app.models.download_job import MOVING, RESUMABLE, DownloadJob, DownloadState
from app.models.fit_verdict import FitVerdict, device_taken, judge
from app.models.model_entry import ModelEntry
from app.models.precision_labels import PRECISION_LABELS, with_precision_labels
from app.widgets.combo_box import ComboBox
from app.widgets.device_label import device_label
from app.widgets.panel import breakable, link, named, show_linked, tame, text_label
from app.widgets.progress_line import ProgressLine
from engine.checkpoints.catalogue import models_folder
from engine.checkpoints.files import free_bytes
from engine.checkpoints.precision import PACKED_PRECISIONS, suitable_precisions
from engine.checkpoints.units import disk_text
from engine.protocol.errors import Fault
from engine.protocol.events import Device, Loading, Ready

FAULTS_OF_FILES = ("input", "weights-missing", "weights-broken")
"""Kinds of failures of a load (engine.protocol.errors) after which a look tells more."""


@dataclass(frozen=True)
class ModelUse:
    """How the model that the settings name stands."""

    precision: str
    ready: Ready | None
    loading: Loading | None
    fault: Fault | None


class ModelRow(QFrame):
    """use_asked: with which precision. download_asked: from the start or where it was; with which token."""

    use_asked = Signal(str)
    unload_asked = Signal()
    download_asked = Signal(str)
    remove_asked = Signal()
    forget_asked = Signal()
    licence_asked = Signal()
    cancel_asked = Signal()

    def __init__(self, entry: ModelEntry) -> None:
        super().__init__()
        self.setObjectName("modelRow")
        self.setAccessibleName(entry.label)
        self.entry = entry
        self._use: ModelUse | None = None
        self._devices: tuple[Device, ...] = ()
        self._instead = False
        self._context_tokens = 0
        self._choice = "auto"
        self._shown_verdict: FitVerdict | None = None
        self._explained: Fault | None = None
        """The failure of a load after which a look has found a problem, which is told in its place."""
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 14, 0, 14)
        rows.setSpacing(6)
        for part in (self._build_facts(entry), self._build_plan(), self._build_state(), self._build_acts()):
            rows.addLayout(part)

    # ------------------------------------------------------------------ what it is made of

    def _build_facts(self, entry: ModelEntry) -> QVBoxLayout:
        name = text_label("Model")
        name.setText(breakable(entry.label))
        name.setAccessibleName(entry.label)
        font = name.font()
        font.setWeight(QFont.Weight.DemiBold)
        name.setFont(font)
        self.size_label = text_label("Size", quiet=True)
        self.size_label.setWordWrap(False)
        self.licence = link("", self.licence_asked.emit)
        facts = QHBoxLayout()
        facts.setSpacing(10)
        facts.addWidget(self.size_label)
        facts.addWidget(self.licence)
        facts.addStretch(1)
        good_at = text_label("What it is good at", quiet=True)
        good_at.setText(entry.good_at)
        self.source = text_label("Where it comes from", quiet=True)
        rows = QVBoxLayout()
        rows.setSpacing(2)
        rows.addWidget(name)
        rows.addLayout(facts)
        rows.addWidget(good_at)
        rows.addWidget(self.source)
        return rows

    def _build_plan(self) -> QVBoxLayout:
        self.precision = named(ComboBox(), f"Precision of {self.entry.label}")
        self.precision.setToolTip(
            "How exactly the model’s numbers are kept. Full is as it was trained; 8-bit needs little "
            "more than half of the memory, 4-bit a good third. Automatic is the most exact that fits."
        )
        self.precision.activated.connect(self._on_precision)
        self.precision.settled.connect(self._on_precision_settled)
        tame(self.precision)
        self._caption = QLabel("Precision")
        self._caption.setProperty("quiet", True)
        self._caption.setBuddy(self.precision)
        row = QHBoxLayout()
        row.addWidget(self._caption)
        row.addWidget(self.precision, 1)
        self.verdict = text_label("Whether it fits")
        rows = QVBoxLayout()
        rows.addSpacing(4)
        rows.addLayout(row)
        rows.addWidget(self.verdict)
        return rows

    def _build_state(self) -> QVBoxLayout:
        self.state = text_label("State", quiet=True)
        self.fault = text_label("What went wrong")
        self.line = ProgressLine()
        self.line.setMinimumWidth(0)
        self.line.setMaximumWidth(16777215)
        self.token = named(QLineEdit(placeholderText="Access token"), "Access token")
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.token.returnPressed.connect(self._on_download)
        rows = QVBoxLayout()
        for widget in (self.state, self.line, self.fault, self.token):
            rows.addWidget(widget)
        return rows

    def _build_acts(self) -> QHBoxLayout:
        self.use = QPushButton()
        self.use.clicked.connect(lambda: self.use_asked.emit(self._chosen()))
        self.download = QPushButton()
        self.download.clicked.connect(self._on_download)
        self.resume = QPushButton()
        self.resume.clicked.connect(self._on_download)
        self.pause = QPushButton("Pause")
        self.pause.clicked.connect(self._on_pause)
        self.cancel = link("Cancel", self.cancel_asked.emit)
        self.free = link("Free the memory now", self.unload_asked.emit)
        self.remove = link("Remove…", self.remove_asked.emit)
        self.forget = link("Take off the list", self.forget_asked.emit)
        row = QHBoxLayout()
        row.setSpacing(14)
        for button in self.acts:
            row.addWidget(button)
        row.addStretch(1)
        return row

    @property
    def acts(self) -> list[QPushButton]:
        """What can be done with it."""
        return [*self._harmless, self.cancel, self.remove, self.forget]

    @property
    def _harmless(self) -> list[QPushButton]:
        return [self.use, self.download, self.resume, self.pause, self.free]

    @property
    def controls(self) -> list[QWidget]:
        """All that take keys, from the top."""
        return [self.licence, self.source, self.precision, self.fault, self.token, *self.acts]

    # ------------------------------------------------------------------ what it shows

    def show_entry(
        self,
        entry: ModelEntry,
        use: ModelUse | None,
        devices: tuple[Device, ...],
        context_tokens: int,
        *,
        instead: bool,
    ) -> None:
        """use: None for a model that the settings do not name. devices: what a load has to choose from,
        without what the model in use holds; instead: that this model would take its place.
        """
        self.entry, self._use, self._devices, self._context_tokens = entry, use, devices, context_tokens
        self._instead = instead
        size = "Size not known yet" if entry.download else ""
        self.size_label.setText(disk_text(entry.size_bytes) if entry.size_bytes else size)
        self.size_label.setVisible(bool(self.size_label.text()))
        licence = entry.licence
        metrics = self.licence.fontMetrics()
        room = 24 * metrics.averageCharWidth()
        self.licence.setText(metrics.elidedText(f"{licence} licence", Qt.TextElideMode.ElideRight, room))
        self.licence.setAccessibleName(f"Licence of {entry.label}: {licence}")
        self.licence.setVisible(bool(licence and entry.licence_file))
        unread = "" if licence and entry.licence_file else f"Licence: {licence or 'not stated here'}.\n"
        if entry.download and not entry.download.total_bytes:
            unread = ""  # nobody has looked yet
        show_linked(self.source, f"{unread}{entry.source}")
        self.source.setAccessibleName(f"{unread}{entry.source}")
        self.source.setVisible(entry.known is None or bool(entry.repo))
        self._show_plan()
        self._show_state()

    def _show_plan(self) -> None:
        offered = suitable_precisions(self.entry.precisions, self._device)
        chosen = self._chosen()
        self.precision.show_choices(
            {precision: PRECISION_LABELS[precision] for precision in ("auto", *offered, chosen)}, chosen
        )
        verdict = self._shown_verdict = self._judged()
        broken = self.entry.local and self.entry.local.problem and not self.entry.download
        known = self.entry.shape is not None and not broken
        self.precision.setVisible(known)
        self._caption.setVisible(known)
        self.verdict.setVisible(known)
        told = progress_text.unbroken(verdict.words) if verdict else "Whether it fits is not known yet."
        self.verdict.setText(told)
        self.precision.setAccessibleDescription(self.verdict.text())
        fits = verdict is None or verdict.fits
        self.use.setText(("Load it now" if self._use else "Use") if fits else "Try anyway")
        size = self.entry.size_bytes
        usual = f"Download {disk_text(size)}" if size else "Download"
        self.download.setText(usual if fits else "Download anyway")

    def _show_state(self) -> None:
        entry, use, download = self.entry, self._use, self.entry.download
        state = download.state if download else None
        moving, resumable = state in MOVING, state in RESUMABLE
        probed, failed = state is DownloadState.PROBED, state is DownloadState.FAILED
        problem = entry.local.problem if entry.local else ""
        fault = download.fault if download else self._fault_of_load(problem)
        ready, loading = (use.ready, use.loading) if use else (None, None)
        shown: dict[QWidget, bool] = {
            self.use: entry.is_here and (use is None or not (ready or loading)),
            self.download: not entry.is_here and (download is None or probed) and bool(entry.repo),
            self.resume: resumable and not probed,
            self.pause: moving and not (download and download.is_probe),
            self.cancel: moving or resumable,
            self.free: ready is not None or loading is not None,
            self.remove: bool(entry.local and entry.local.removable) and use is None and download is None,
            self.forget: entry.is_added and use is None,
            self.line: moving or loading is not None,
            self.token: bool(failed and fault and fault.kind == "access"),
        }
        focused = self.window().focusWidget()  # also while a question has the keys
        left = focused in self.acts and not shown[focused]
        for widget, visible in shown.items():
            widget.setVisible(visible)
        if left:  # the next press must not be the one that deletes
            next((button for button in self._harmless if shown[button]), self.precision).setFocus()
        self.cancel.setText("Remove" if download and download.is_probe and not moving else "Cancel")
        self.resume.setText("Try again" if failed else "Resume")
        self.free.setText("Stop loading" if loading else "Free the memory now")
        for button in self.acts:
            button.setAccessibleName(f"{button.text()}: {entry.label}")
        told = with_precision_labels(f"{fault.message} {fault.remedy}".strip()) if fault else problem
        if download and not fault:
            told = ""
        show_linked(self.fault, progress_text.unbroken(told))
        self.fault.setVisible(bool(told))
        self.show_progress()

    def _fault_of_load(self, problem: str) -> Fault | None:
        """None where a look knows better: it has found a problem, or what was missed is there."""
        fault = self._use.fault if self._use else None
        if problem:
            self._explained = fault
        if fault is None or fault is self._explained:
            return None
        there = self.entry.is_here and self._chosen() in ("auto", *self.entry.precisions)
        return None if there and fault.kind in ("input", "weights-missing") else fault

    def show_progress(self) -> None:
        """Of a download or a load."""
        text, share = self._progress()
        quiet = not self._lacks_room
        if self.state.property("quiet") != quiet:
            self.state.setProperty("quiet", quiet)
            self.state.style().unpolish(self.state)  # the stylesheet looks again
            self.state.style().polish(self.state)
        self.state.setText(progress_text.unbroken(text))
        self.state.setVisible(bool(text))
        self.line.set_share(share)

    def _progress(self) -> tuple[str, float]:
        entry, download, use = self.entry, self.entry.download, self._use
        if download and download.state is not DownloadState.PROBED:
            return progress_text.progress_text(download), _share(download)
        if use and use.loading:
            return f"{use.loading.stage} · {use.loading.fraction:.0%}", use.loading.fraction
        if use and use.ready:
            precision = PRECISION_LABELS.get(use.ready.precision, use.ready.precision)
            return f"In use on {device_label(use.ready.device)} · {precision}", 1.0
        if use and entry.is_here:
            return "Not loaded" if use.fault else "Not loaded · the next draft loads it", 0.0
        if entry.is_here:
            return "On this computer", 0.0
        if entry.repo:
            return progress_text.disk_room_text(
                entry.size_bytes, free_bytes(models_folder()), self._packed_bytes
            ), 0.0
        return "", 0.0

    @property
    def _packed_bytes(self) -> int:
        """Of the copy that the first load would keep."""
        plan = self._shown_verdict.plan if self._shown_verdict else None
        return plan.weights_bytes if plan and plan.precision in PACKED_PRECISIONS else 0

    @property
    def _lacks_room(self) -> bool:
        """And that is what the state tells."""
        entry = self.entry
        if (
            entry.is_here
            or not entry.repo
            or (entry.download and entry.download.state is not DownloadState.PROBED)
        ):
            return False
        return not progress_text.has_room(entry.size_bytes, free_bytes(models_folder()))

    def _judged(self) -> FitVerdict | None:
        entry, device = self.entry, self._device
        if entry.shape is None or device is None:
            return None
        return judge(
            entry.shape,
            entry.precisions,
            self._chosen() if suitable_precisions(entry.precisions, device) else entry.precisions[0],
            self._context_tokens,
            device,
            instead=self._instead,
        )

    @property
    def _device(self) -> Device | None:
        return device_taken("auto", self._devices, self.entry.shape, self._chosen(), self._context_tokens)

    def _chosen(self) -> str:
        return self._use.precision if self._use else self._choice

    # ------------------------------------------------------------------ what the writer does

    def _on_precision(self) -> None:
        self._choice = self.precision.currentData()
        if not self._use:
            self._show_plan()
            self.show_progress()

    def _on_precision_settled(self) -> None:
        if self._use and self._choice != self._use.precision:
            self.use_asked.emit(self._choice)

    def _on_download(self) -> None:
        self.download_asked.emit(self.token.text())
        self.token.clear()

    def _on_pause(self) -> None:
        if self.entry.download:
            self.entry.download.pause()


def _share(download: DownloadJob) -> float:
    return download.done_bytes / download.total_bytes if download.total_bytes else 0.0
