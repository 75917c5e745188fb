"""What is read ahead when the writer pauses, and when nothing is. No test waits for the pause itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QInputMethodEvent, QTextDocument
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.documents.recovery import RecoveryStore
from app.documents.text import set_document_text
from app.drafting.controller import DraftController
from app.drafting.draft_commands import DraftCommands
from app.drafting.draft_session import DraftState
from app.drafting.prefetch import Prefetch
from app.editor.join import TextContext
from app.editor.page import Page
from app.editor.placement import text_context
from app.settings.store import SettingsStore
from app.window.main_window import MainWindow
from app.worker.engine_thread import EngineThread
from app.worker.model_session import ModelSession
from engine.protocol.events import DraftEvent, Event, LoadEvent
from engine.protocol.requests import DraftRequest, LoadRequest, PrepareRequest
from tests.app.pages import END, TEXT, make_page, put_caret
from tests.fakes import FakeEngine

if TYPE_CHECKING:
    from tests.app.conftest import Run


class Engine(FakeEngine):
    """Holds its loads and its drafts back until they may go on, and reads ahead until it is told to stop."""

    def __init__(self) -> None:
        super().__init__()
        self.may_load, self.may_draft = threading.Event(), threading.Event()
        self.may_load.set()
        self.may_draft.set()
        self.reads = threading.Event()

    def prepare(self, _: PrepareRequest, cancelled: threading.Event) -> None:
        self.reads.set()
        assert cancelled.wait(10)

    def load(self, request: LoadRequest, cancelled: threading.Event) -> Iterator[LoadEvent]:
        self.may_load.wait(10)
        yield from super().load(request, cancelled)

    def draft(self, request: DraftRequest, cancelled: threading.Event) -> Iterator[DraftEvent]:
        self.may_draft.wait(10)
        yield from super().draft(request, cancelled)


class Worker(EngineThread):
    """Remembers what it was asked for."""

    def __init__(self, open_engine: Callable[[], FakeEngine]) -> None:
        super().__init__(open_engine)
        self.prepared: list[PrepareRequest] = []
        self.drafted: list[DraftRequest] = []

    def prepare(self, request: PrepareRequest) -> None:
        self.prepared.append(request)
        super().prepare(request)

    def draft(self, request: DraftRequest) -> AsyncGenerator[Event, None]:
        self.drafted.append(request)
        return super().draft(request)


@dataclass
class Desk:
    page: Page
    worker: Worker
    engine: Engine
    settings: SettingsStore
    model: ModelSession
    drafts: DraftController
    commands: DraftCommands
    reading: Prefetch

    async def until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            await asyncio.sleep(0.002)

    async def loaded(self) -> None:
        self.model.load()
        await self.until(lambda: self.model.ready is not None)

    async def state(self, state: DraftState) -> None:
        await self.until(lambda: self.drafts.state is state)

    def read_in_a_pause(self) -> list[str]:
        """The texts before the caret that were read ahead, as if the writer had paused now."""
        self.worker.prepared.clear()
        self.reading.pause.timeout.emit()
        return [request.place.before for request in self.worker.prepared]


@pytest.fixture
def desk(qtbot: QtBot, run: Run, tmp_path: Path) -> Iterator[Desk]:
    page, engine, settings = make_page(qtbot), Engine(), SettingsStore(tmp_path / "settings.json")
    put_caret(page, END)
    worker = Worker(lambda: engine)
    model = ModelSession(worker, settings, page)
    drafts = DraftController(page, worker, model, settings, page)
    commands = DraftCommands(page, model, settings, drafts)
    reading = Prefetch(page, worker, model, settings, drafts)
    worker.start()
    yield Desk(page, worker, engine, settings, model, drafts, commands, reading)
    run(drafts.close())
    run(model.close())
    assert worker.close()


@pytest.mark.parametrize(
    ("text", "position"),
    [
        (TEXT, 0),
        (TEXT, 60),
        (TEXT, TEXT.index("\n")),
        (TEXT, TEXT.index("\n\n") + 1),
        (TEXT, END),
        ("It rained. ", 11),
        ("It rained.\n\nThen it stopped.", 28),
        ("It rained.\n\nThen it stopped.", 10),
        ("```\nprint(1).", 13),
        ("", 0),
    ],
)
def test_exactly_what_a_draft_at_the_caret_sends_is_read(
    desk: Desk, run: Run, text: str, position: int
) -> None:
    set_document_text(desk.page.document(), text)
    put_caret(desk.page, position)
    desk.settings.change(context_tokens=512)

    async def scenario() -> None:
        await desk.loaded()
        desk.read_in_a_pause()
        desk.commands.draft()
        await desk.state(DraftState.SETTLED)

    run(scenario())
    (ahead,), (draft,) = desk.worker.prepared, desk.worker.drafted
    assert ((ahead.place,), ahead.context_tokens) == (draft.places, draft.context_tokens)


def test_the_same_text_is_not_read_twice_in_a_row(desk: Desk, run: Run, qtbot: QtBot) -> None:
    run(desk.loaded())
    first = desk.read_in_a_pause()
    assert first == [f"{TEXT}\n\n"]
    put_caret(desk.page, 0)
    put_caret(desk.page, END)
    assert desk.read_in_a_pause() == []
    qtbot.keyClicks(desk.page, " And")
    assert desk.read_in_a_pause() == [f"{TEXT} And"]
    desk.page.undo()
    assert desk.read_in_a_pause() == first
    run(desk.loaded())
    assert desk.read_in_a_pause() == first  # by the new model


def test_each_sign_of_work_begins_the_pause_anew(desk: Desk, run: Run, qtbot: QtBot) -> None:
    put_caret(desk.page, 9)
    signs: dict[str, Callable[[], object]] = {
        "typing": partial(qtbot.keyClicks, desk.page, "a"),
        "deleting": partial(qtbot.keyClick, desk.page, Qt.Key.Key_Delete),  # the caret stays
        "the caret": partial(put_caret, desk.page, 3),
        "a setting": partial(desk.settings.change, context_tokens=256),
        "a model": lambda: run(desk.loaded()),
        "a draft": desk.drafts.changed.emit,
    }
    for name, act in signs.items():
        desk.reading.pause.stop()
        act()
        assert desk.reading.pause.isActive(), name


def test_a_pause_ends_by_itself_and_the_text_is_looked_at_only_then(
    desk: Desk, run: Run, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def noted(document: QTextDocument, position: int) -> TextContext:
        looks.append(position)
        return text_context(document, position)

    monkeypatch.setattr("app.drafting.draft_requests.text_context", noted)

    async def scenario() -> None:
        await desk.loaded()
        qtbot.keyClicks(desk.page, " And then")
        assert looks == []
        assert desk.reading.pause.interval() == 700
        desk.reading.pause.setInterval(0)
        qtbot.keyClicks(desk.page, " it")
        await desk.until(lambda: bool(desk.worker.prepared))

    run(scenario())
    assert len(looks) == 1


def test_nothing_is_read_without_a_model_or_while_one_loads(desk: Desk, run: Run) -> None:
    assert desk.read_in_a_pause() == []

    async def scenario() -> None:
        desk.engine.may_load.clear()
        desk.model.load()
        await asyncio.sleep(0)
        assert desk.read_in_a_pause() == []
        desk.engine.may_load.set()
        await desk.until(lambda: desk.model.ready is not None)
        assert len(desk.read_in_a_pause()) == 1

    run(scenario())


def test_nothing_is_read_while_there_is_a_draft(desk: Desk, run: Run) -> None:
    async def scenario() -> None:
        await desk.loaded()
        desk.engine.may_draft.clear()
        desk.commands.draft()
        assert desk.drafts.state is DraftState.PREPARING
        assert desk.read_in_a_pause() == []
        desk.engine.may_draft.set()
        await desk.state(DraftState.DENOISING)
        assert desk.read_in_a_pause() == []
        await desk.state(DraftState.SETTLED)
        assert desk.read_in_a_pause() == []
        desk.commands.keep()
        assert desk.read_in_a_pause() == [f"{desk.page.text()}\n\n"]

    run(scenario())


def test_nothing_is_read_when_the_writer_wants_none(desk: Desk, run: Run) -> None:
    run(desk.loaded())
    desk.settings.change(read_ahead=False)
    assert desk.read_in_a_pause() == []
    desk.settings.change(read_ahead=True)
    assert len(desk.read_in_a_pause()) == 1


def test_nothing_is_read_by_an_engine_that_does_not_read_ahead(desk: Desk, run: Run) -> None:
    run(desk.loaded())
    assert desk.model.ready
    can = desk.model.ready.capabilities
    for reads_ahead in (False, True):
        capabilities = msgspec.structs.replace(can, reads_ahead=reads_ahead)
        desk.model.ready = msgspec.structs.replace(desk.model.ready, capabilities=capabilities)
        assert len(desk.read_in_a_pause()) == reads_ahead


def test_nothing_is_read_in_a_window_that_cannot_be_seen(desk: Desk, run: Run) -> None:
    run(desk.loaded())
    for vanish in (desk.page.hide, desk.page.showMinimized):
        vanish()
        assert desk.read_in_a_pause() == []
    desk.page.showNormal()
    assert len(desk.read_in_a_pause()) == 1


def test_nothing_is_read_for_a_selection(desk: Desk, run: Run) -> None:
    run(desk.loaded())
    desk.page.selectAll()
    assert desk.read_in_a_pause() == []
    put_caret(desk.page, END)
    assert len(desk.read_in_a_pause()) == 1


def test_a_word_that_is_being_composed_is_waited_for(desk: Desk, run: Run) -> None:
    run(desk.loaded())
    QApplication.sendEvent(desk.page, QInputMethodEvent("に", []))
    desk.reading.pause.stop()
    assert desk.read_in_a_pause() == []
    assert desk.reading.pause.isActive()
    composed = QInputMethodEvent("", [])
    composed.setCommitString("日")
    QApplication.sendEvent(desk.page, composed)
    assert desk.read_in_a_pause() == [f"{TEXT}日"]


def test_a_draft_asked_for_in_the_middle_of_it_comes_at_once(desk: Desk, run: Run) -> None:
    async def scenario() -> None:
        await desk.loaded()
        assert len(desk.read_in_a_pause()) == 1
        assert desk.engine.reads.wait(5)
        desk.commands.draft()
        await desk.state(DraftState.SETTLED)

    run(scenario(), timeout_s=5)


def test_the_window_reads_ahead(qtbot: QtBot, run: Run, tmp_path: Path) -> None:
    worker, recovery = Worker(FakeEngine), RecoveryStore()
    window = MainWindow(SettingsStore(tmp_path / "settings.json"), worker, recovery)
    qtbot.addWidget(window)
    worker.start()
    window.show()

    async def scenario() -> None:
        window.model.load()
        while window.model.ready is None:
            await asyncio.sleep(0.002)
        qtbot.keyClick(window.view.page, Qt.Key.Key_A)
        assert window.view.prefetch.pause.isActive()
        window.view.prefetch.pause.timeout.emit()
        await window.view.drafts.close()
        await window.model.close()

    run(scenario())
    assert [request.place.before for request in worker.prepared] == ["a"]
    assert worker.close()
    window.view.page.document().setModified(False)
    window.view.document.close()
    recovery.close()
