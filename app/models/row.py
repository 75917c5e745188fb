"""One model in the list: what it is, whether it fits, how it stands, and what can be done with it."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Signal
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.devices import short_name
from app.editor.bar import ProgressLine
from app.models import words
from app.models.download import RUNNING, Download, State
from app.models.entry import Entry
from app.models.verdict import NAMES, Verdict, choices, judge
from app.panel_widgets import ComboBox, link, named, quiet_text, tame
from engine.events import Device, Failed, Loading, Ready
from engine.plans import gigabytes


@dataclass(frozen=True)
class Use:
    """How the model that the settings name stands."""

    precision: str
    ready: Ready | None
    loading: Loading | None
    fault: Failed | None


class ModelRow(QFrame):
    """use_asked: with which precision. download_asked: from the start or where it was; with which token."""

    use_asked = Signal(str)
    unload_asked = Signal()
    download_asked = Signal(str)
    remove_asked = Signal()
    forget_asked = Signal()
    licence_asked = Signal()

    def __init__(self, entry: Entry) -> None:
        super().__init__()
        self.setObjectName("modelRow")
        self.setAccessibleName(entry.label)
        self.entry = entry
        self._use: Use | None = None
        self._device: Device | None = None
        self._context_tokens = 0
        self._choice = "auto"
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 14, 0, 14)
        rows.setSpacing(6)
        for part in (self._build_facts(entry), self._build_plan(), self._build_state(), self._build_acts()):
            rows.addLayout(part)

    # ------------------------------------------------------------------ what it is made of

    def _build_facts(self, entry: Entry) -> QVBoxLayout:
        name = named(QLabel(entry.label, wordWrap=True), "Model")
        font = name.font()
        font.setWeight(QFont.Weight.DemiBold)
        name.setFont(font)
        self.size_label = named(QLabel(), "Size")
        self.size_label.setProperty("quiet", True)
        self.licence = link("", self.licence_asked.emit)
        facts = QHBoxLayout()
        facts.setSpacing(10)
        facts.addWidget(self.size_label)
        facts.addWidget(self.licence)
        facts.addStretch(1)
        good_at = quiet_text("What it is good at")
        good_at.setText(entry.good_at)
        self.source = quiet_text("Where it comes from")
        rows = QVBoxLayout()
        rows.setSpacing(2)
        rows.addWidget(name)
        rows.addLayout(facts)
        rows.addWidget(good_at)
        rows.addWidget(self.source)
        return rows

    def _build_plan(self) -> QVBoxLayout:
        self.precision = named(ComboBox(), f"Precision of {self.entry.label}")
        self.precision.activated.connect(self._on_precision)
        tame(self.precision)
        self._caption = QLabel("Precision")
        self._caption.setProperty("quiet", True)
        self._caption.setBuddy(self.precision)
        row = QHBoxLayout()
        row.addWidget(self._caption)
        row.addWidget(self.precision, 1)
        self.verdict = named(QLabel(wordWrap=True), "Whether it fits")
        rows = QVBoxLayout()
        rows.addSpacing(4)
        rows.addLayout(row)
        rows.addWidget(self.verdict)
        return rows

    def _build_state(self) -> QVBoxLayout:
        self.state = quiet_text("State")
        self.fault = named(QLabel(wordWrap=True), "What went wrong")
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
        label = self.entry.label
        self.use = named(QPushButton(), f"Use {label}")
        self.use.clicked.connect(lambda: self.use_asked.emit(self._chosen()))
        self.download = named(QPushButton(), f"Download {label}")
        self.download.clicked.connect(self._on_download)
        self.resume = named(QPushButton(), f"Resume {label}")
        self.resume.clicked.connect(self._on_download)
        self.pause = named(QPushButton("Pause"), f"Pause {label}")
        self.pause.clicked.connect(self._on_pause)
        self.cancel = link("Cancel", self._on_cancel, f"Cancel {label}")
        self.free = link("Free the memory now", self.unload_asked.emit)
        self.remove = link("Remove…", self.remove_asked.emit, f"Remove {label}")
        self.forget = link("Take off the list", self.forget_asked.emit, f"Take {label} off the list")
        row = QHBoxLayout()
        row.setSpacing(14)
        for button in (self.use, self.download, self.resume, self.pause):
            row.addWidget(button)
        for button in (self.free, self.cancel, self.remove, self.forget):
            row.addWidget(button)
        row.addStretch(1)
        return row

    # ------------------------------------------------------------------ what it shows

    def show_entry(self, entry: Entry, use: Use | None, device: Device | None, context_tokens: int) -> None:
        """use: None for a model that the settings do not name."""
        self.entry, self._use, self._device, self._context_tokens = entry, use, device, context_tokens
        self.size_label.setText(gigabytes(entry.size_bytes) if entry.size_bytes else "Size not known yet")
        licence = entry.licence
        self.licence.setText(f"{licence} licence" if licence else "")
        self.licence.setAccessibleName(f"Licence of {entry.label}: {licence}")
        self.licence.setVisible(bool(licence and entry.licence_file))
        unread = "" if licence and entry.licence_file else f"Licence: {licence or 'not stated here'}.\n"
        self.source.setText(f"{unread}{entry.source}")
        self.source.setVisible(entry.known is None or bool(entry.repo))
        self._show_plan()
        self._show_state()

    def _show_plan(self) -> None:
        offered = choices(self.entry.precisions, self._device)
        chosen = self._chosen()
        self.precision.clear()
        for precision in dict.fromkeys(("auto", *offered, chosen)):
            self.precision.addItem(NAMES[precision], precision)
        self.precision.setCurrentIndex(self.precision.findData(chosen))
        verdict = self._judged()
        known = self.entry.shape is not None
        self.precision.setVisible(known)
        self._caption.setVisible(known)
        self.verdict.setVisible(known)
        self.verdict.setText(verdict.words if verdict else "Whether it fits is not known yet.")
        self.precision.setAccessibleDescription(self.verdict.text())
        usual = "Load it now" if self._use else "Use"
        self.use.setText(usual if verdict is None or verdict.fits else "Try anyway")

    def _show_state(self) -> None:
        entry, use, download = self.entry, self._use, self.entry.download
        moving = download is not None and download.state in (State.QUEUED, *RUNNING)
        failed = download is not None and download.state is State.FAILED
        stands = failed or (download is not None and download.state is State.PAUSED)
        fault = download.fault if download else use.fault if use else None
        ready, loading = (use.ready, use.loading) if use else (None, None)
        shown: dict[QWidget, bool] = {
            self.use: entry.is_here and (use is None or not (ready or loading)),
            self.download: not entry.is_here and download is None and bool(entry.repo),
            self.resume: stands,
            self.pause: moving,
            self.cancel: moving or stands,
            self.free: ready is not None,
            self.remove: bool(entry.local and entry.local.removable) and use is None and download is None,
            self.forget: entry.is_added and use is None,
            self.line: moving or loading is not None,
            self.token: bool(failed and fault and fault.kind == "access"),
        }
        for widget, visible in shown.items():
            widget.setVisible(visible)
        self.download.setText(f"Download {gigabytes(entry.size_bytes)}" if entry.size_bytes else "Download")
        self.resume.setText("Try again" if failed else "Resume")
        told = f"{fault.message} {fault.remedy}".strip() if fault else ""
        if not told and entry.local and entry.local.problem and download is None:
            told = entry.local.problem
        self.fault.setText(told)
        self.fault.setVisible(bool(told))
        self.show_progress()

    def show_progress(self) -> None:
        """Of a download or a load."""
        text, share = self._progress()
        self.state.setText(text)
        self.state.setVisible(bool(text))
        self.line.set_share(share)

    def _progress(self) -> tuple[str, float]:
        entry, download, use = self.entry, self.entry.download, self._use
        if download:
            return words.progress(download), _share(download)
        if use and use.loading:
            return f"{use.loading.stage} · {use.loading.fraction:.0%}", use.loading.fraction
        if use and use.ready:
            precision = NAMES.get(use.ready.precision, use.ready.precision)
            return f"In use on {short_name(use.ready.device)} · {precision}", 1.0
        if use and entry.is_here and not use.fault:
            return "Not loaded · the next draft loads it", 0.0
        if not entry.is_here and entry.repo:
            return f"{gigabytes(entry.free_disk_bytes)} free on this disk", 0.0
        return "", 0.0

    def _judged(self) -> Verdict | None:
        entry, device = self.entry, self._device
        if entry.shape is None or device is None:
            return None
        return judge(entry.shape, entry.precisions, self._chosen(), self._context_tokens, device)

    def _chosen(self) -> str:
        return self._use.precision if self._use else self._choice

    # ------------------------------------------------------------------ what the writer does

    def _on_precision(self) -> None:
        self._choice = self.precision.currentData()
        if self._use:
            self.use_asked.emit(self._choice)
        else:
            self._show_plan()

    def _on_download(self) -> None:
        self.download_asked.emit(self.token.text())
        self.token.clear()

    def _on_pause(self) -> None:
        if self.entry.download:
            self.entry.download.pause()

    def _on_cancel(self) -> None:
        if self.entry.download:
            self.entry.download.cancel()


def _share(download: Download) -> float:
    return download.done_bytes / download.total_bytes if download.total_bytes else 0.0
