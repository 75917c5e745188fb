"""What a replay is saved as."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import QBuffer, QObject, QSize
from PySide6.QtGui import QFont, QImage, QImageReader
from pytestqt.qtbot import QtBot

from app.editor.draft_overlay import FRAME_INTERVAL_MS
from app.history.replay.animated_webp import animated
from app.history.replay.export import (
    ANIMATION,
    BUSY,
    KINDS,
    LAST_STEP_MS,
    NO_PICTURE,
    PICTURE,
    STEPS,
    Export,
    Kind,
)
from app.history.replay.step_picture import Paper, StepPicture
from app.history.replay.trace import Trace
from app.widgets.theme import DARK, LIGHT
from engine.protocol.errors import Fault
from engine.runtime.replay_engine import ReplayEngine


@pytest.fixture
def paper(qapp: object) -> Paper:
    font = QFont("DejaVu Serif")
    font.setPixelSize(18)
    return Paper(font, LIGHT, 480)


def saved(
    export: Export, qtbot: QtBot, kind: Kind, trace: Trace, paper: Paper, path: Path, index: int = 6
) -> bytes:
    with qtbot.waitSignal(export.saved, timeout=20_000):
        export.save(kind, trace, index, paper, path)
    return path.read_bytes()


@pytest.fixture
def export(qapp: object) -> Export:
    return Export(QObject(qapp))  # type: ignore[arg-type]


def test_an_animation_has_every_step(
    export: Export, qtbot: QtBot, trace: Trace, paper: Paper, tmp_path: Path
) -> None:
    path = tmp_path / "Draft.webp"
    saved(export, qtbot, ANIMATION, trace, paper, path)
    reader = QImageReader(str(path))
    assert reader.supportsAnimation()
    assert reader.imageCount() == len(trace.steps)
    height = StepPicture(trace, len(trace.steps) - 1, paper).height
    for index in range(len(trace.steps)):
        image = reader.read()
        picture = StepPicture(trace, index, paper).image(height)
        assert image.convertToFormat(QImage.Format.Format_RGB32) == picture
        last = index + 1 == len(trace.steps)
        assert reader.nextImageDelay() == (LAST_STEP_MS if last else FRAME_INTERVAL_MS)
    assert reader.loopCount() == -1  # for ever


def test_a_picture_is_of_the_step_that_is_shown(
    export: Export, qtbot: QtBot, trace: Trace, paper: Paper, tmp_path: Path
) -> None:
    data = saved(export, qtbot, PICTURE, trace, paper, tmp_path / "Draft.png")
    picture = StepPicture(trace, 6, paper)
    image = QImage.fromData(data)
    assert image.convertToFormat(QImage.Format.Format_RGB32) == picture.image(picture.height)
    assert image != StepPicture(trace, 7, paper).image(picture.height)


def test_a_picture_has_the_pixels_of_the_screen_and_the_colours_of_the_page(
    trace: Trace, paper: Paper
) -> None:
    sharp = Paper(paper.font, DARK, paper.width, ratio=2.0)
    image = StepPicture(trace, 3, sharp).image(100)
    assert image.size() == QSize(960, 200)
    assert image.pixelColor(0, 0).name().upper() == DARK.paper


def test_the_steps_are_what_the_replay_engine_plays(
    export: Export, qtbot: QtBot, trace: Trace, paper: Paper, tmp_path: Path
) -> None:
    path = tmp_path / "Draft.jsonl"
    assert saved(export, qtbot, STEPS, trace, paper, path) == trace.json_lines()
    ReplayEngine(path)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.suffix)
def test_a_folder_that_is_not_there_is_told(
    export: Export, qtbot: QtBot, trace: Trace, paper: Paper, tmp_path: Path, kind: Kind
) -> None:
    trace = msgspec.structs.replace(trace, steps=trace.steps[:1], text=None, stats=None)
    faults: list[Fault] = []
    export.failed.connect(faults.append)
    with qtbot.waitSignal(export.failed, timeout=20_000):
        export.save(kind, trace, 0, paper, tmp_path / "gone" / "Draft")
    assert [fault.kind for fault in faults] == ["disk"]
    saved(export, qtbot, kind, trace, paper, tmp_path / "Draft", index=0)  # and the next one is


@pytest.mark.qt_log_ignore("too large for WebP", extend=True)
def test_a_picture_that_cannot_be_is_told(
    export: Export, qtbot: QtBot, trace: Trace, paper: Paper, tmp_path: Path
) -> None:
    faults: list[Fault] = []
    export.failed.connect(faults.append)
    too_wide = Paper(paper.font, paper.theme, 17_000)
    with qtbot.waitSignal(export.failed, timeout=20_000):
        export.save(ANIMATION, trace, 0, too_wide, tmp_path / "Draft.webp")
    assert faults == [NO_PICTURE]
    assert not (tmp_path / "Draft.webp").exists()


def test_one_at_a_time(export: Export, qtbot: QtBot, trace: Trace, paper: Paper, tmp_path: Path) -> None:
    faults: list[Fault] = []
    export.failed.connect(faults.append)
    with qtbot.waitSignal(export.saved, timeout=20_000):
        export.save(ANIMATION, trace, 0, paper, tmp_path / "a.webp")
        export.save(ANIMATION, trace, 0, paper, tmp_path / "b.webp")
    assert faults == [BUSY]
    assert [path.name for path in tmp_path.glob("*.webp")] == ["a.webp"]


def test_stills_of_odd_length_stay_apart(qapp: object) -> None:
    """The container is filled up to even lengths."""
    stills, images = [], []
    for number in range(12):
        image = QImage(7, 5, QImage.Format.Format_RGB32)
        image.fill(0xFF000000 + 0x010305 * number * number)
        buffer = QBuffer()
        buffer.open(QBuffer.OpenModeFlag.WriteOnly)
        assert image.save(buffer, "webp", 100)  # type: ignore[call-overload]
        stills.append(bytes(buffer.data().data()))
        images.append(image)
    data = QBuffer()
    data.setData(animated(stills, range(12), 7, 5))
    data.open(QBuffer.OpenModeFlag.ReadOnly)
    reader = QImageReader(data)
    assert [reader.read().convertToFormat(QImage.Format.Format_RGB32) for _ in images] == images
