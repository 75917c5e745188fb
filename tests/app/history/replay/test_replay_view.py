"""The replay of a draft that has no place in a page."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.history.replay.recording import Recording
from app.history.replay.trace import Trace
from app.history.ui.replay_view import ReplayView
from app.settings.store import SettingsStore
from app.widgets.theme import DARK, LIGHT, palette
from engine.protocol.events import Committed, Frame, Token
from tests.app.pages import make_page


@pytest.fixture
def view(qtbot: QtBot, tmp_path: Path) -> ReplayView:
    view = ReplayView(make_page(qtbot), SettingsStore(tmp_path / "settings.json"), lambda: str(tmp_path))
    qtbot.addWidget(view)
    view.resize(360, 320)
    view.show()
    return view


def picture(view: ReplayView) -> QImage:
    return view.still.grab().toImage()


def made_of(*texts: str) -> Trace:
    recording = Recording(None)
    for step in range(3):
        tokens = tuple(Token(text, 2.0 - step, step == 2, False) for text in texts)
        recording.take(
            Frame(request_id="1", variant=0, canvas=0, step=step, max_steps=2, elapsed_s=0.0, tokens=tokens)
        )
    recording.take(Committed(request_id="1", variant=0, canvas=0, text="".join(texts)))
    return recording.trace()


def test_it_shows_the_steps_of_a_trace(view: ReplayView, trace: Trace) -> None:
    assert view.controls.isHidden()
    empty = picture(view)
    view.show_trace(trace)
    assert view.replay is not None
    settled = picture(view)
    assert view.still.height() > view.height()  # a long draft is scrolled
    view.replay.go_to(3)
    third = picture(view)
    assert len({image.cacheKey() for image in (empty, settled, third)}) == 3
    assert settled.copy(0, 0, 300, 200) != third.copy(0, 0, 300, 200)
    view.show_trace(None)
    assert view.controls.isHidden()
    assert view.replay is None


@pytest.mark.parametrize(
    "texts",
    [
        ("שלום", " עולם", "."),
        ("🦊", "👩", "\u200d", "🚀", " é"),
        ("", "", ""),
        ("\n\n", "a", "\n"),
        ("\x00", "\ufffd", "‮x"),
    ],
    ids=["right to left", "emoji", "nothing", "blank lines", "controls"],
)
def test_any_text_is_drawn(view: ReplayView, texts: tuple[str, ...]) -> None:
    trace = made_of(*texts)
    view.show_trace(trace)
    assert view.replay is not None
    for index in range(3):
        view.replay.go_to(index)
        assert not picture(view).isNull()


def test_right_to_left_stands_at_the_right(view: ReplayView) -> None:
    def inked(image: QImage) -> tuple[bool, bool]:
        """Whether the left and the right half have ink."""
        paper = image.pixel(1, 1)
        half = image.width() // 2
        columns = [x for x in range(image.width()) if any(image.pixel(x, y) != paper for y in range(20, 60))]
        return min(columns) < half, max(columns) >= half

    view.show_trace(made_of("שלום"))
    assert inked(picture(view)) == (False, True)
    view.show_trace(made_of("Peace"))
    assert inked(picture(view)) == (True, False)


def test_one_step_alone_is_shown(view: ReplayView, trace: Trace) -> None:
    view.show_trace(msgspec.structs.replace(trace, steps=trace.steps[:1], text=None, stats=None))
    assert view.replay is not None
    assert view.replay.last == 0
    view.controls.play.click()
    assert not view.replay.plays


def test_without_steps_there_is_nothing_to_lead(view: ReplayView) -> None:
    view.show_trace(Trace())
    assert view.replay is None


def test_it_has_the_page_s_colours_and_pauses_when_it_is_hidden(
    view: ReplayView, trace: Trace, qtbot: QtBot
) -> None:
    view.show_trace(trace)
    assert view.replay is not None
    view.replay.turn()
    view.hide()
    assert not view.replay.plays


def test_another_draft_takes_its_own_height(view: ReplayView, trace: Trace, qtbot: QtBot) -> None:
    view.show_trace(trace)
    long = view.still.height()
    view.show_trace(made_of("Peace"))
    qtbot.waitUntil(lambda: view.still.height() < long)


@pytest.mark.parametrize("styled", [False, True])
def test_another_theme_is_followed(view: ReplayView, trace: Trace, qapp: QApplication, styled: bool) -> None:
    view.show_trace(trace)
    before = qapp.styleSheet()
    qapp.setStyleSheet("QLabel { color: red; }" if styled else "")  # with one, palettes go another way
    for theme in (LIGHT, DARK):
        view.page.set_theme(theme)
        view.setPalette(palette(theme))
        image = picture(view)
        assert image.pixelColor(1, 1).name().upper() == theme.paper
        top = image.copy(0, 0, image.width(), 60)
        colours = (top.pixelColor(x, y) for x in range(top.width()) for y in range(60))
        # A thin stroke of another font covers no pixel wholly: it is nearer to ink than to paper.
        ink, paper = QColor(theme.ink).lightness(), QColor(theme.paper).lightness()
        assert any(abs(colour.lightness() - ink) < abs(colour.lightness() - paper) for colour in colours)
    qapp.setStyleSheet(before)


def test_a_narrower_column_is_a_higher_one(view: ReplayView, trace: Trace) -> None:
    view.show_trace(trace)
    wide = view.still.height()
    view.resize(260, 320)
    assert view.still.height() > wide
