"""A page whose drafts come from a recorded trace, with their replay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from app.drafting.controller import DraftController
from app.drafting.draft_actions import DraftActions
from app.drafting.draft_commands import DraftCommands
from app.drafting.draft_picking import DraftPicking
from app.drafting.draft_session import DraftSession, DraftState
from app.drafting.variant import Variant
from app.editor.fade import FADE_S
from app.editor.page import Page
from app.history.replay.draft_replay import DraftReplay
from app.history.replay.player import Replay
from app.history.replay.recording import Recording
from app.history.replay.tap import FrameTap
from app.history.replay.trace import Trace
from app.settings.store import SettingsStore
from app.worker.engine_thread import EngineThread
from app.worker.model_session import ModelSession
from engine.protocol.codec import decode_event
from engine.protocol.errors import Fault
from engine.protocol.events import Committed, Finished, Frame
from engine.runtime.replay_engine import ReplayEngine
from tests.app.conftest import Run
from tests.app.pages import END, make_page, put_caret

GOLDEN = Path(__file__).parents[3] / "golden" / "draft.jsonl"


@dataclass
class Desk:
    page: Page
    worker: EngineThread
    settings: SettingsStore
    drafts: DraftController
    commands: DraftCommands
    actions: DraftActions
    tap: FrameTap
    replay: DraftReplay
    faults: list[Fault] = field(default_factory=list)

    @property
    def draft(self) -> DraftSession:
        assert self.drafts.current is not None
        return self.drafts.current

    @property
    def variant(self) -> Variant:
        assert self.draft.shown is not None
        return self.draft.shown

    @property
    def playing(self) -> Replay:
        assert self.replay.replay is not None
        return self.replay.replay

    def picture(self) -> QImage:
        """Of the page, without what stands over it and without the caret."""
        bar = self.replay.bar
        shown = bar.isVisible()
        bar.hide()
        self.page.setCursorWidth(0)
        image = self.page.viewport().grab().toImage()
        self.page.setCursorWidth(2)
        bar.setVisible(shown)
        return image

    async def until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            await asyncio.sleep(0.005)

    async def settled(self) -> None:
        self.commands.draft()
        await self.until(lambda: self.drafts.state is DraftState.SETTLED)

    async def rested(self) -> QImage:
        """The picture once fades have ended."""
        before = None
        while before != (now := self.picture()):
            before = now
            await asyncio.sleep(2 * FADE_S)
        return now


@pytest.fixture
def desk(qtbot: QtBot, run: Run, tmp_path: Path) -> Iterator[Desk]:
    async def close() -> None:
        await drafts.close()
        await model.close()

    settings = SettingsStore(tmp_path / "settings.json")
    worker = EngineThread(lambda: ReplayEngine(GOLDEN, pace_s=0.001))
    page = make_page(qtbot, before_close=lambda _: run(close()))
    put_caret(page, END)
    model = ModelSession(worker, settings, page)
    drafts = DraftController(page, worker, model, settings, page)
    commands = DraftCommands(page, model, settings, drafts)
    actions = DraftActions(drafts, commands, DraftPicking(page, drafts), page)
    tap = FrameTap(worker)
    replay = DraftReplay(page, drafts, tap, settings, lambda: str(tmp_path))
    desk = Desk(page, worker, settings, drafts, commands, actions, tap, replay)
    replay.failed.connect(desk.faults.append)
    worker.start()
    yield desk
    assert worker.close()


@pytest.fixture
def trace() -> Trace:
    recording = Recording(None)
    for event in map(decode_event, GOLDEN.read_bytes().splitlines()):
        if isinstance(event, Frame | Committed | Finished):
            recording.take(event)
    return recording.trace()
