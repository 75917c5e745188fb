"""Words of a settled draft: pinned, selected, copied, kept alone."""

import re
from collections.abc import Callable
from time import monotonic

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QAction, QContextMenuEvent, QGuiApplication, QKeyEvent, QTextCursor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu
from pytestqt.qtbot import QtBot

from app.documents.text import set_document_text
from app.drafting.draft_actions import DraftActions
from app.drafting.draft_session import DraftState
from app.drafting.verbs import REPHRASE
from engine.protocol.requests import Span
from tests.app.conftest import Run
from tests.app.drafting.conftest import Desk, ScriptedEngine
from tests.app.pages import END, TEXT, cursor_at, put_caret

Key = Qt.Key
LEFT, NONE, SHIFT, CTRL = (
    Qt.MouseButton.LeftButton,
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.ControlModifier,
)
SAYS = "The fox 🦊 ran home. Émile didn't see it, nor did Ada.\n\nLater it rained."


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on, a second has passed."""
    return lambda: monkeypatch.setattr("app.drafting.draft_keys.monotonic", lambda: monotonic() + 1)


@pytest.fixture
def desk(desk: Desk, engine: ScriptedEngine) -> Desk:
    engine.says = SAYS
    return desk


def middle(desk: Desk, words: str) -> QPoint:
    """Where these words of the draft stand."""
    assert desk.draft.text is not None
    start = desk.draft.text.index(words)
    rects = desk.drafts.overlays[desk.draft].geometry.rects_of(Span(start, start + len(words)))
    return rects[0].center().toPoint()


def click(desk: Desk, word: str) -> None:
    QTest.mouseClick(desk.page.viewport(), LEFT, NONE, middle(desk, word))


def drag(desk: Desk, first: str, last: str) -> None:
    view = desk.page.viewport()
    QTest.mousePress(view, LEFT, NONE, middle(desk, first))
    QTest.mouseMove(view, middle(desk, last))
    QTest.mouseRelease(view, LEFT, NONE, middle(desk, last))


def pinned(desk: Desk) -> list[str]:
    words = desk.draft.words
    return [words.text[span.start : span.end] for span in words.held] if words else []


def selected(desk: Desk) -> str:
    return desk.draft.words.selected_text if desk.draft.words else ""


@pytest.mark.parametrize("place", [END, TEXT.index("the end of"), TEXT.index("\n\n") + 1, 0])
@pytest.mark.parametrize("ends", ["", " and 🦊"])
def test_a_click_pins_a_word_and_frees_it_and_the_caret_stays(
    desk: Desk, run: Run, place: int, ends: str
) -> None:
    text = TEXT + ends
    set_document_text(desk.page.document(), text)
    put_caret(desk.page, place + 2 * len(ends) if place == END else place)
    run(desk.settled())
    place = desk.page.textCursor().position()
    for word in ("fox", "didn't", "Émile"):
        click(desk, word)
    assert pinned(desk) == ["fox", "Émile didn't"]
    click(desk, "Émile")
    click(desk, "🦊")
    blank = QPoint(desk.page.viewport().width() - 30, middle(desk, "Ada").y())
    QTest.mouseClick(desk.page.viewport(), LEFT, NONE, blank)
    assert pinned(desk) == ["fox", "didn't"]
    assert desk.page.textCursor().position() == place
    assert desk.page.text() == text


def test_beside_the_drafts_lines_the_mouse_is_the_texts(desk: Desk, run: Run, engine: ScriptedEngine) -> None:
    def place_of_a_click(where: QPoint) -> int:
        QTest.mouseClick(desk.page.viewport(), LEFT, NONE, where)
        return desk.page.textCursor().position()

    async def scenario() -> None:
        await desk.settled()
        in_draft, above = middle(desk, "fox"), QPoint(100, 40)
        assert place_of_a_click(in_draft) == END
        assert place_of_a_click(above) == desk.page.cursorForPosition(above).position() < END
        put_caret(desk.page, 0)
        engine.how = "endless"
        desk.draft.retry()
        assert place_of_a_click(in_draft) > 0
        desk.draft.discard()

    run(scenario())


def test_a_redraft_is_asked_for_around_what_is_pinned(desk: Desk, run: Run, engine: ScriptedEngine) -> None:
    async def scenario() -> None:
        await desk.settled()
        click(desk, "fox")
        click(desk, "it")
        click(desk, "Ada")
        desk.draft.retry()
        await desk.state(DraftState.SETTLED)
        assert pinned(desk) == []
        desk.draft.retry()
        await desk.state(DraftState.SETTLED)
        desk.draft.show(0)

    run(scenario())
    text = desk.texts[0]
    asked, again = (request.places[0] for request in engine.requests[1:])
    assert asked.start_text == text
    assert [text[span.start : span.end] for span in asked.held] == ["fox", "it", "Ada"]
    assert (again.start_text, again.held) == ("", ())
    assert pinned(desk) == ["fox", "it", "Ada"]


def test_a_drag_selects_whole_words_to_be_copied_or_pinned(desk: Desk, run: Run, qtbot: QtBot) -> None:
    run(desk.settled())
    drag(desk, "mile", "see")
    assert selected(desk) == "Émile didn't see"
    qtbot.keyClick(desk.page, Key.Key_C, CTRL)
    assert QGuiApplication.clipboard().text() == "Émile didn't see"
    qtbot.keyClick(desk.page, Key.Key_Space)
    assert pinned(desk) == ["Émile didn't see"]
    click(desk, "fox")
    assert (selected(desk), pinned(desk)) == ("", ["Émile didn't see"])
    assert desk.page.text() == TEXT


def test_words_are_picked_by_keys(desk: Desk, run: Run, qtbot: QtBot, later: Callable[[], None]) -> None:
    run(desk.settled())
    later()
    words = desk.draft.words
    assert words is not None
    words.step(0)
    seen = [selected(desk)]
    for key, modifier in (
        (Key.Key_Left, NONE),
        (Key.Key_Right, NONE),
        (Key.Key_Right, NONE),
        (Key.Key_Right, SHIFT),
        (Key.Key_Space, NONE),
        (Key.Key_Right, NONE),
    ):
        qtbot.keyClick(desk.page, key, modifier)
        seen.append(selected(desk))
    assert seen == ["The", "The", "fox", "ran", "ran home", "ran home", "Émile"]
    assert pinned(desk) == ["ran home"]
    qtbot.keyClick(desk.page, Key.Key_Escape)
    assert (selected(desk), desk.drafts.state) == ("", DraftState.SETTLED)
    qtbot.keyClick(desk.page, Key.Key_Escape)
    assert desk.drafts.current is None


@pytest.mark.qt_log_ignore("This plugin does not support")
def test_a_click_for_the_menu_leaves_the_caret_at_the_draft(desk: Desk, run: Run) -> None:
    desk.page.addAction(QAction("Copy", desk.page))
    run(desk.settled())
    place = middle(desk, "fox")
    view = desk.page.viewport()
    event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, place, view.mapToGlobal(place))
    QGuiApplication.sendEvent(view, event)
    popup = QApplication.activePopupWidget()
    assert isinstance(popup, QMenu)
    popup.close()
    assert desk.page.textCursor().position() == END


def test_what_is_typed_goes_into_the_text(desk: Desk, run: Run, qtbot: QtBot) -> None:
    run(desk.settled())
    drag(desk, "fox", "ran")
    zhe = QKeyEvent(QEvent.Type.KeyPress, 0x416, NONE, "ж")  # no member of Qt.Key
    QGuiApplication.sendEvent(desk.page, zhe)
    qtbot.keyClicks(desk.page, " b")
    assert desk.page.text() == f"{TEXT}ж b"
    assert (selected(desk), pinned(desk)) == ("", [])


PLACES = {
    "the end of a text": (TEXT, len(TEXT)),
    "within a line": ("The man went and", 16),
    "before a space": ("The man went home.", 7),
    "before a word": ("The man went home.", 8),
    "before a paragraph": ("One.\n\nTwo.\n\nThree.", 6),
    "a blank line": ("One.\n\n\n\nTwo.", 6),
    "an empty text": ("", 0),
}


@pytest.mark.parametrize("says", [SAYS, "他走了。他回来了。", "“No,” he said. “Go!” I went.\n- a b.\n- c d."])
@pytest.mark.parametrize("name", list(PLACES))
def test_kept_sentence_by_sentence_it_reads_as_kept_at_once(
    desk: Desk,
    engine: ScriptedEngine,
    run: Run,
    qtbot: QtBot,
    later: Callable[[], None],
    name: str,
    says: str,
) -> None:
    engine.says = says
    text, place = PLACES[name]
    set_document_text(desk.page.document(), text)
    put_caret(desk.page, place)
    run(desk.settled())
    desk.commands.keep()
    whole = desk.page.text()
    desk.page.undo()
    put_caret(desk.page, place)
    run(desk.settled())
    later()
    stages = [desk.page.text()]
    while desk.drafts.current:
        qtbot.keyClick(desk.page, Key.Key_Right, CTRL)
        stages.append(desk.page.text())
        assert len(stages) < 12
    assert len(stages) > 2
    assert stages[-1] == whole
    for stage in stages[-2::-1]:
        desk.page.undo()
        assert desk.page.text() == stage
    assert not desk.page.document().isUndoAvailable()


def test_one_sentence_after_another_can_be_kept_without_a_pause(desk: Desk, run: Run, qtbot: QtBot) -> None:
    run(desk.settled())
    desk.draft.settled_at_s -= 1
    desk.drafts.go_to_draft()
    for _ in range(2):
        qtbot.keyClick(desk.page, Key.Key_Right, CTRL)
    assert desk.page.text() == f"{TEXT}\n\nThe fox 🦊 ran home. Émile didn't see it, nor did Ada."


def test_the_rest_is_brought_back_as_it_was(desk: Desk, run: Run) -> None:
    run(desk.settled())
    desk.commands.keep_sentence()
    desk.draft.discard()
    desk.commands.bring_back()
    desk.commands.keep()
    assert desk.page.text() == f"{TEXT}\n\n{SAYS.partition(chr(10))[0]}"


@pytest.mark.parametrize("ends", ["", " and 🦊"])
def test_a_part_is_marked_where_it_will_stand(desk: Desk, run: Run, ends: str) -> None:
    set_document_text(desk.page.document(), TEXT + ends)
    put_caret(desk.page, END + 2 * len(ends))
    run(desk.settled())
    place = middle(desk, "nor did")
    desk.commands.keep()
    desk.page.viewport().grab()
    start = desk.page.document().find("nor did").selectionStart()
    assert desk.page.text_rects((start, start + 7))[0].contains(place.toPointF())


def test_no_words_are_glued_while_the_rest_is_a_draft(desk: Desk, run: Run) -> None:
    set_document_text(desk.page.document(), "The man went home.")
    put_caret(desk.page, 8)
    run(desk.settled())
    desk.commands.keep_sentence()
    assert desk.page.text() == "The man The fox 🦊 ran home. went home."
    desk.draft.discard()
    desk.commands.bring_back()
    desk.commands.keep()
    assert desk.page.text() == "The man The fox 🦊 ran home. Émile didn't see it, nor did Ada. went home."


def test_a_selected_part_is_kept_alone(desk: Desk, run: Run, qtbot: QtBot, later: Callable[[], None]) -> None:
    run(desk.settled())
    later()
    drag(desk, "see", "Ada")
    qtbot.keyClick(desk.page, Key.Key_Return)
    assert desk.page.text() == f"{TEXT}\n\nsee it, nor did Ada"
    assert desk.draft.text is not None
    rest = SAYS.partition("\n")[0].replace("see it, nor did Ada", "")
    assert re.findall(r"\w+", desk.draft.text) == re.findall(r"\w+", rest)
    desk.page.undo()
    assert desk.page.text() == TEXT


def test_what_replaces_a_passage_is_kept_whole(desk: Desk, run: Run, engine: ScriptedEngine) -> None:
    engine.says = "It was late. Nobody came."
    cursor = desk.page.textCursor()
    cursor.setPosition(0)
    cursor.setPosition(TEXT.index(" Clara"), QTextCursor.MoveMode.KeepAnchor)
    desk.page.setTextCursor(cursor)

    async def scenario() -> None:
        desk.commands.redraft_selection(REPHRASE)
        await desk.state(DraftState.SETTLED)
        desk.commands.keep_sentence()
        assert desk.page.text() == TEXT
        drag(desk, "Nobody", "came")
        desk.commands.keep()

    run(scenario())
    assert desk.page.text() == TEXT.replace("The ferry was late again.", "It was late. Nobody came.")


def test_what_can_be_done_follows_what_is_picked(desk: Desk, run: Run, engine: ScriptedEngine) -> None:
    engine.corrected = (Span(0, 7),)
    actions = DraftActions(desk.drafts, desk.commands, desk.picking, desk.page)
    assert not actions.pick.isEnabled()
    run(desk.settled())
    put_caret(desk.page, 0)
    usual = actions.keep.iconText(), actions.retry.iconText()
    assert not actions.pin.isEnabled()
    actions.pick.trigger()
    assert (selected(desk), desk.page.textCursor().position()) == ("The", END)
    assert actions.keep.iconText() != usual[0]
    pin = actions.pin.iconText()
    actions.pin.trigger()
    assert pinned(desk) == ["The"]
    assert actions.pin.iconText() != pin
    assert actions.retry.iconText() != usual[1]
    actions.pin.trigger()
    desk.picking.leave()
    assert (actions.keep.iconText(), actions.retry.iconText(), pinned(desk)) == (*usual, [])
    actions.corrections.trigger()
    assert (actions.corrections.isChecked(), desk.draft.shows_corrections) == (True, True)
    desk.commands.keep_sentence()
    assert not actions.corrections.isEnabled()


def test_a_click_in_another_draft_goes_to_it(desk: Desk, run: Run) -> None:
    other = TEXT.index("\n\n")

    async def scenario() -> None:
        desk.commands.draft_at([desk.page.textCursor(), cursor_at(desk.page, other)])
        await desk.until(lambda: all(draft.shown for draft in desk.drafts.overlays))
        put_caret(desk.page, END)
        at_end, at_other = desk.drafts.overlays
        assert desk.drafts.current is at_end
        rect = desk.drafts.overlays[at_other].geometry.rects_of(Span(4, 7))[0]
        QTest.mouseClick(desk.page.viewport(), LEFT, NONE, rect.center().toPoint())
        assert desk.drafts.current is at_other
        assert pinned(desk) == ["fox"]
        desk.drafts.discard_all()

    run(scenario())


def test_corrected_words_are_counted_and_marked(desk: Desk, run: Run, engine: ScriptedEngine) -> None:
    engine.says = "\n It  rained\nall day, then 🦊 came. "
    spans = [found.span() for found in re.finditer(r"^\s*It| rai|🦊 ca|came|\. $", engine.says)]
    engine.corrected = tuple(Span(*span) for span in spans)
    run(desk.settled())
    shown, words = desk.draft.shown, desk.draft.words
    assert shown is not None
    assert words is not None
    marked = [shown.text[span.start : span.end] for span in shown.corrected]
    assert marked == ["It", " rai", "🦊 ca", "."]
    touched = words.of(shown.corrected)
    assert [shown.text[word.start : word.end] for word in touched] == ["It", "rained", "came"]
    plain = desk.page.viewport().grab().toImage()
    desk.draft.shows_corrections = True
    desk.draft.changed.emit()
    assert desk.page.viewport().grab().toImage() != plain
