"""A page with a worker thread, and an engine that does what the test says."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pytestqt.qtbot import QtBot

from app.drafting.controller import DraftController
from app.drafting.draft_commands import DraftCommands
from app.drafting.draft_keys import DraftKeys
from app.drafting.draft_picking import DraftPicking
from app.drafting.draft_session import DraftSession, DraftState
from app.editor.page import Page
from app.settings.store import SettingsStore
from app.worker.engine_thread import EngineThread
from app.worker.model_session import ModelSession
from engine.protocol.engine import Engine
from engine.protocol.errors import Fault
from engine.protocol.events import Denoising, DraftEvent, Finished, Frame, LoadEvent, Prefilling, Ready
from engine.protocol.requests import DraftRequest, LoadRequest, Span
from tests.app.conftest import Run
from tests.app.pages import END, make_page, put_caret
from tests.fakes import TEXT as DRAFT
from tests.fakes import FakeEngine


def instructed(request: DraftRequest, how: str) -> DraftRequest:
    """With what the fake engine is to do as the instruction of each place."""
    places = tuple(msgspec.structs.replace(place, instruction=how) for place in request.places)
    return msgspec.structs.replace(request, places=places)


class ScriptedEngine(FakeEngine):
    """Remembers the requests, holds back a load or a draft, and takes its instruction from the test."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[DraftRequest] = []
        self.how = ""
        self.peak_bytes = 0
        self.says = DRAFT
        self.corrected: tuple[Span, ...] = ()
        self.says_each: tuple[str, ...] = ()
        """What each variant says, the worst first; else all say the same."""
        self.can: dict[str, Any] = {}
        """Of EngineCapabilities, what is another thing."""
        self.reads_long = self.steps_long = False
        """And tells how far."""
        self.may_load = threading.Event()
        self.may_load.set()

    def load(self, request: LoadRequest, cancelled: threading.Event) -> Iterator[LoadEvent]:
        self.may_load.wait()
        for event in super().load(request, cancelled):
            if isinstance(event, Ready):
                can = msgspec.structs.replace(event.capabilities, **{"start_text": True} | self.can)
                event = msgspec.structs.replace(event, capabilities=can)
            yield event

    def draft(self, request: DraftRequest, cancelled: threading.Event) -> Iterator[DraftEvent]:
        self.requests.append(request)
        for read in (1, 3) if self.reads_long else ():
            yield Prefilling(request_id=request.request_id, prompt_tokens=4, read_tokens=read)
        for event in super().draft(instructed(request, self.how), cancelled):
            if isinstance(event, Finished):
                stats = msgspec.structs.replace(event.stats, peak_bytes=self.peak_bytes)
                event = msgspec.structs.replace(event, stats=stats, text=self.says, corrected=self.corrected)
                if self.says_each:
                    text, rank = self.says_each[event.variant], request.variants - event.variant
                    event = msgspec.structs.replace(event, text=text, rank=rank)
            yield event
            if self.steps_long and isinstance(event, Frame) and event.step < event.max_steps:
                yield Denoising(request_id=request.request_id, step=event.step + 1, share=0.4)


@dataclass
class Desk:
    page: Page
    worker: EngineThread
    settings: SettingsStore
    model: ModelSession
    drafts: DraftController
    commands: DraftCommands
    picking: DraftPicking
    faults: list[Fault] = field(default_factory=list)

    @classmethod
    def make(cls, qtbot: QtBot, run: Run, settings: SettingsStore, worker: EngineThread) -> "Desk":
        page = make_page(qtbot, before_close=lambda _: run(made.close()))  # its drafts go with it
        put_caret(page, END)
        model = ModelSession(worker, settings, page)
        drafts = DraftController(page, worker, model, settings, page)
        commands = DraftCommands(page, model, settings, drafts)
        DraftKeys(page, drafts, commands)
        made = cls(page, worker, settings, model, drafts, commands, DraftPicking(page, drafts))
        model.failed.connect(made.faults.append)
        drafts.failed.connect(made.faults.append)
        worker.start()
        return made

    async def close(self) -> None:
        await self.drafts.close()
        await self.model.close()

    @property
    def draft(self) -> DraftSession:
        """The current one."""
        assert self.drafts.current is not None
        return self.drafts.current

    @property
    def texts(self) -> list[str]:
        """The variants of the current draft."""
        return [variant.text for variant in self.draft.variants] if self.drafts.current else []

    async def until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            await asyncio.sleep(0.002)

    async def state(self, state: DraftState | None) -> None:
        await self.until(lambda: self.drafts.state is state)

    async def settled(self) -> None:
        self.commands.draft()
        await self.state(DraftState.SETTLED)


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def open_engine(engine: ScriptedEngine) -> Callable[[], Engine]:
    return lambda: engine


@pytest.fixture
def desk(qtbot: QtBot, run: Run, tmp_path: Path, open_engine: Callable[[], Engine]) -> Iterator[Desk]:
    settings = SettingsStore(tmp_path / "settings.json")
    desk = Desk.make(qtbot, run, settings, EngineThread(open_engine, hang_s=0.3, first_hang_s=0.3))
    yield desk
    assert desk.worker.close()
