"""Save a replay: as an animation, as the picture of one step, as the engine's events."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QBuffer, QCoreApplication, QIODevice, QObject, Qt, Signal
from PySide6.QtGui import QImage, QImageWriter
from PySide6.QtWidgets import QWidget

from app.documents.atomic_file import write_atomically
from app.editor.draft_overlay import FRAME_INTERVAL_MS
from app.history.replay.animated_webp import animated
from app.history.replay.player import Replay
from app.history.replay.step_picture import Paper, StepPicture
from app.history.replay.trace import Trace
from app.worker.background import BackgroundCall
from engine.protocol.errors import Fault, reason_of

Work = Generator[Callable[[], object], Any, None]
"""Yields what is to be called beside the GUI's thread, and is sent what that returns."""
BUSY = Fault("busy", "Another replay is still being saved.", "Try again in a moment.")
NO_PICTURE = Fault(
    "output",
    "This draft cannot be made a picture of that kind.",
    "Make the window narrower, or save it as data.",
)
LAST_STEP_MS = 2500
_LOSSLESS = 100
"""Qt's quality: of text on paper the lossless pictures are the smaller ones."""


@dataclass(frozen=True)
class Kind:
    """What a replay can be saved as."""

    label: str
    suffix: str
    filter: str


ANIMATION = Kind("Animation (WebP)…", "webp", "WebP animation (*.webp)")
PICTURE = Kind("Picture of this step (PNG)…", "png", "PNG picture (*.png)")
STEPS = Kind("All steps as data…", "jsonl", "Data (*.jsonl)")
KINDS = (ANIMATION, PICTURE, STEPS)


class Export(QObject):
    """Saves one replay at a time. Each picture is painted in the GUI's thread; what takes longer than that is
    done beside it.
    """

    saved = Signal(Path)
    failed = Signal(Fault)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._call = BackgroundCall("export", self)
        self._call.returned.connect(self._go_on)
        self._work: Work | None = None
        if application := QCoreApplication.instance():
            application.aboutToQuit.connect(self._call.join)

    def ask(self, kind: Kind, replay: Replay, paper: Paper, folder: str, window: QWidget) -> None:
        """Ask where to, and save it there."""
        from PySide6.QtWidgets import QFileDialog  # the first paint does not need it

        replay.pause()
        dialog = QFileDialog(window, "Save the replay", folder, kind.filter)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(kind.suffix)
        dialog.selectFile(f"Draft.{kind.suffix}")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        trace, index = replay.trace, replay.index
        dialog.fileSelected.connect(lambda path: self.save(kind, trace, index, paper, Path(path)))
        dialog.open()

    def save(self, kind: Kind, trace: Trace, index: int, paper: Paper, path: Path) -> None:
        """index: of the step that a picture is taken of."""
        if self._work is not None:
            self.failed.emit(BUSY)
            return
        self._work = self._save(kind, trace, index, paper, path)
        self._go_on(None)

    def _save(self, kind: Kind, trace: Trace, index: int, paper: Paper, path: Path) -> Work:
        if kind is STEPS:
            data = yield trace.json_lines
        elif kind is PICTURE:
            picture = StepPicture(trace, index, paper)
            data = yield partial(_encoded, picture.image(picture.height), b"png")
        else:
            data = yield from _animation(trace, paper)
        fault = (yield partial(_written, path, data)) if data else NO_PICTURE
        if fault:
            self.failed.emit(fault)
        else:
            self.saved.emit(path)

    def _go_on(self, result: object) -> None:
        assert self._work is not None
        try:
            self._call.start(self._work.send(result))
        except StopIteration:
            self._work = None


def _animation(trace: Trace, paper: Paper) -> Generator[Callable[[], object], Any, bytes]:
    """All pictures are as high as the last one, in which nothing is lost."""
    count = len(trace.steps)
    height, stills = StepPicture(trace, count - 1, paper).height, []
    for index in range(count):
        image = StepPicture(trace, index, paper).image(height)
        still = yield partial(_encoded, image, b"webp", _LOSSLESS)
        if not still:
            return b""
        stills.append(still)
    durations = [FRAME_INTERVAL_MS] * (count - 1) + [LAST_STEP_MS]
    return animated(stills, durations, image.width(), image.height())


def _encoded(image: QImage, form: bytes, quality: int = -1) -> bytes:
    """Empty where that cannot be: pictures have a greatest size."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    writer = QImageWriter(buffer, form)
    writer.setQuality(quality)
    return bytes(buffer.data().data()) if writer.write(image) else b""


def _written(path: Path, data: bytes) -> Fault | None:
    try:
        write_atomically(path, data)
    except OSError as error:
        reason, remedy = reason_of(error)
        return Fault("disk", f"“{path.name}” could not be written: {reason}.", remedy)
    return None
