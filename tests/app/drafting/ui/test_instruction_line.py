"""The instruction line, before a draft and on a settled one."""

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QTextDocument
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.drafting.draft_session import DraftState
from app.drafting.presets import BUILT_IN, presets_folder
from app.drafting.ui.instruction_line import InstructionLine
from tests.app.conftest import Emitted, Run
from tests.app.drafting.conftest import Desk, ScriptedEngine
from tests.app.pages import END, TEXT, put_caret


@pytest.fixture
def line(desk: Desk, engine: ScriptedEngine) -> InstructionLine:
    engine.can = {"instructions": True}
    return InstructionLine(desk.page, desk.drafts, desk.commands, desk.model)


def write(line: InstructionLine, text: str, key: Qt.Key = Qt.Key.Key_Return) -> None:
    QTest.keyClicks(line.field, text)
    QTest.keyClick(line.field, key)


def asked(engine: ScriptedEngine) -> list[str]:
    return [place.instruction for request in engine.requests for place in request.places]


@pytest.mark.parametrize("modifier", [Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier])
def test_enter_drafts_as_asked_and_again_as_asked_then(
    desk: Desk, line: InstructionLine, engine: ScriptedEngine, run: Run, modifier: Qt.KeyboardModifier
) -> None:
    async def scenario() -> None:
        line.open()
        QTest.keyClicks(line.field, "Thank her.")
        QTest.keyClick(line.field, Qt.Key.Key_Return, modifier)
        assert line.isHidden()
        await desk.state(DraftState.SETTLED)
        line.open()
        assert line.field.text() == "Thank her."
        write(line, "Thank him.")
        await desk.until(lambda: len(desk.texts) == 2)
        desk.draft.retry()
        await desk.until(lambda: len(desk.texts) == 3)
        assert desk.page.text() == TEXT

    run(scenario())
    assert asked(engine) == ["Thank her.", "Thank him.", "Thank him."]


def test_the_mouse_drafts_as_asked(
    desk: Desk, line: InstructionLine, engine: ScriptedEngine, run: Run
) -> None:
    """A press on the button leaves the line open until it is released."""

    async def scenario() -> None:
        line.open()
        QTest.keyClicks(line.field, "Thank her.")
        QTest.mousePress(line.draft, Qt.MouseButton.LeftButton)
        assert not line.isHidden()
        QTest.mouseRelease(line.draft, Qt.MouseButton.LeftButton)
        assert line.isHidden()
        await desk.state(DraftState.SETTLED)

    run(scenario())
    assert asked(engine) == ["Thank her."]


def test_escape_closes_and_what_was_written_is_there_again_for_the_same_document(
    desk: Desk, line: InstructionLine, engine: ScriptedEngine
) -> None:
    url, document = QTextDocument.MetaInformation.DocumentUrl, desk.page.document()
    for path, before in (("/a.md", ""), ("/b.md", ""), ("/a.md", "For /a.md"), ("/b.md", "For /b.md")):
        document.setMetaInformation(url, path)
        line.open()
        assert line.field.text() == before
        write(line, f"For {path}", Qt.Key.Key_Escape)
        assert line.isHidden()
    assert not desk.drafts.overlays
    assert desk.page.text() == TEXT


def test_keys_that_the_field_does_not_need_do_not_reach_the_page(desk: Desk, line: InstructionLine) -> None:
    line.open()
    for key in (Qt.Key.Key_Tab, Qt.Key.Key_PageDown, Qt.Key.Key_Z, Qt.Key.Key_Backspace):
        line.open()
        QTest.keyClick(line.field, key, Qt.KeyboardModifier.ControlModifier)
    assert desk.page.text() == TEXT
    assert not desk.drafts.overlays


def test_a_model_that_takes_none_says_so_and_leads_to_those_that_do(
    desk: Desk, line: InstructionLine, engine: ScriptedEngine, run: Run, emitted: Emitted
) -> None:
    engine.can = {"instructions": False}

    async def scenario() -> None:
        line.open()
        QTest.keyClicks(line.field, "Thank her.")
        assert await desk.model.ensure_loaded()
        assert line.field.isReadOnly()
        assert line.draft.isHidden()
        write(line, "Thank him.")
        assert not desk.drafts.overlays
        leads = emitted(line.models_asked)
        line.models.click()
        await leads
        assert line.isHidden()

    run(scenario())
    assert not engine.requests


def test_a_preset_comes_into_the_line_and_a_broken_one_is_named(desk: Desk, line: InstructionLine) -> None:
    folder = presets_folder()
    line.open()
    line.menu.aboutToShow.emit()
    assert sorted(path.stem for path in folder.glob("*.txt")) == sorted(BUILT_IN)
    Path(folder, "Broken & odd.txt").write_bytes(b"\xff")
    line.menu.aboutToShow.emit()
    actions = line.menu.actions()
    line.menu.actions()[1].trigger()
    assert line.field.text() == BUILT_IN[sorted(BUILT_IN)[1]]
    assert [action.text() for action in actions if action.text() and not action.isEnabled()] == [
        "&Broken && odd.txt cannot be read"
    ]


@pytest.mark.parametrize("place", [0, TEXT.index("\n"), TEXT.index("morning"), END])
@pytest.mark.parametrize("height", [120, 300, 700])
def test_it_is_in_view_and_never_over_the_caret(
    desk: Desk, line: InstructionLine, place: int, height: int
) -> None:
    desk.page.resize(900, height)
    put_caret(desk.page, place)
    QApplication.processEvents()
    line.open()
    view = desk.page.viewport().rect()
    assert view.contains(line.geometry())
    assert not line.geometry().intersects(desk.page.cursorRect())
