"""Enter, Tab and Esc at a draft."""

from collections.abc import Callable
from time import monotonic

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.documents.text import set_document_text
from app.drafting.draft_session import DraftState
from tests.app.conftest import Run
from tests.app.drafting.conftest import Desk, ScriptedEngine
from tests.app.pages import END, TEXT, put_caret
from tests.fakes import TEXT as DRAFT

Key = Qt.Key


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on, a second has passed."""
    return lambda: monkeypatch.setattr("app.drafting.draft_keys.monotonic", lambda: monotonic() + 1)


@pytest.mark.parametrize("key", [Key.Key_Return, Key.Key_Enter, Key.Key_Tab])
def test_enter_and_tab_keep_a_settled_draft(
    desk: Desk, run: Run, qtbot: QtBot, key: Key, later: Callable[[], None]
) -> None:
    run(desk.settled())
    later()
    qtbot.keyClick(desk.page, key)
    assert desk.page.text() == f"{TEXT}\n\n{DRAFT}"
    assert desk.drafts.current is None


@pytest.mark.parametrize("case", ["caret elsewhere", "typed while it developed", "typed since", "modifier"])
def test_enter_is_the_writers_otherwise(
    desk: Desk, run: Run, qtbot: QtBot, engine: ScriptedEngine, case: str, later: Callable[[], None]
) -> None:
    engine.how = "endless" if case == "typed while it developed" else ""

    async def scenario() -> None:
        desk.commands.draft()
        await desk.state(DraftState.DENOISING if engine.how else DraftState.SETTLED)
        if case == "caret elsewhere":
            put_caret(desk.page, 4)
        if case.startswith("typed"):
            qtbot.keyClick(desk.page, Key.Key_X)
        later()
        before = desk.page.blockCount()
        shift = case == "modifier"
        modifier = Qt.KeyboardModifier.ShiftModifier if shift else Qt.KeyboardModifier.NoModifier
        qtbot.keyClick(desk.page, Key.Key_Return, modifier)
        assert desk.drafts.current is not None
        assert desk.page.blockCount() == before + 1
        desk.drafts.discard_all()

    run(scenario())


@pytest.mark.parametrize("key", [Key.Key_Return, Key.Key_Enter, Key.Key_Tab])
@pytest.mark.parametrize("settled", [False, True])
def test_a_key_that_comes_a_moment_early_does_nothing(
    desk: Desk, run: Run, qtbot: QtBot, engine: ScriptedEngine, key: Key, settled: bool
) -> None:
    engine.how = "" if settled else "endless"

    async def scenario() -> None:
        desk.commands.draft()
        await desk.state(DraftState.SETTLED if settled else DraftState.DENOISING)
        qtbot.keyClick(desk.page, key)
        assert desk.drafts.current is not None
        assert desk.page.text() == TEXT
        desk.drafts.discard_all()

    run(scenario())


@pytest.mark.parametrize(
    "go_to", [lambda desk: desk.drafts.go_to_draft(), lambda desk: desk.commands.draft()], ids=["go", "draft"]
)
def test_going_to_the_draft_arms_its_keys_again(
    desk: Desk, run: Run, qtbot: QtBot, later: Callable[[], None], go_to: Callable[[Desk], None]
) -> None:
    run(desk.settled())
    put_caret(desk.page, 0)
    qtbot.keyClicks(desk.page, "Once ")
    later()
    put_caret(desk.page, desk.draft.placement.cursor.position())
    qtbot.keyClick(desk.page, Key.Key_Tab)  # the writer's: they have typed since
    assert desk.page.text() == f"Once {TEXT}\t"
    put_caret(desk.page, 0)
    go_to(desk)
    assert desk.drafts.at_caret is desk.draft
    assert desk.page.text() == f"Once {TEXT}\t"
    qtbot.keyClick(desk.page, Key.Key_Return)
    assert desk.page.text() == f"Once {TEXT}\t\n\n{DRAFT}"


def test_enter_keeps_no_draft_that_is_out_of_view(
    desk: Desk, run: Run, qtbot: QtBot, later: Callable[[], None]
) -> None:
    set_document_text(desk.page.document(), "\n".join(f"Paragraph {number}." for number in range(80)))
    desk.page.resize(900, 400)
    put_caret(desk.page, desk.page.document().characterCount() - 1)
    run(desk.settled())
    later()
    scroll = desk.page.verticalScrollBar()
    scroll.setValue(0)
    qtbot.keyClick(desk.page, Key.Key_Tab)
    assert desk.page.text().endswith("\t")
    desk.page.undo()
    assert desk.drafts.current is not None


def test_escape_discards_at_the_anchor_alone(
    desk: Desk, run: Run, qtbot: QtBot, engine: ScriptedEngine, later: Callable[[], None]
) -> None:
    async def scenario() -> None:
        engine.how = "endless"
        desk.commands.draft()
        await desk.state(DraftState.DENOISING)
        put_caret(desk.page, 3)
        qtbot.keyClick(desk.page, Key.Key_Escape)
        assert desk.drafts.current is not None
        put_caret(desk.page, END)
        qtbot.keyClick(desk.page, Key.Key_Escape)
        assert desk.drafts.current is None
        engine.how = ""
        await desk.settled()
        qtbot.keyClick(desk.page, Key.Key_Escape)  # it was meant for the noise
        assert desk.drafts.current is not None
        later()
        qtbot.keyClick(desk.page, Key.Key_Escape)
        assert desk.drafts.current is None

    run(scenario())
    assert desk.page.text() == TEXT
