"""The ModelSession: what is loaded, or how far its load is."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import msgspec
from PySide6.QtCore import QObject, Signal

from app.settings.schema import limits
from app.settings.store import SettingsStore
from app.worker.engine_thread import EngineThread
from app.worker.tasks import Tasks
from engine.hardware.selection import device_setting
from engine.protocol.errors import Fault
from engine.protocol.events import (
    Cancelled,
    Device,
    Event,
    Failed,
    Finished,
    Frame,
    LinkMeasured,
    Loading,
    Ready,
)
from engine.protocol.requests import LinkRequest, LoadRequest

if TYPE_CHECKING:
    import asyncio

    from app.worker.step_pace import StepPace

MOST_VARIANTS = int(limits("variants")[1])
KEPT_FREE_BYTES = 2**30
"""So much more of a card the next load leaves free, after one that was too large for it."""
_LOST = ("engine-died", "engine-garbled", "device-lost")
"""Kinds of faults after which the engine starts afresh."""


class ModelSession(QObject):
    """The one model of the app, as the settings name it, in the worker thread's engine."""

    changed = Signal()
    """What is loaded, or how far, is another one."""
    leaving = Signal()
    """The model is about to go: what develops with it has to end now."""
    failed = Signal(Fault)
    """A load has failed."""
    link_measured = Signal()
    """How fast a card is copied to is known now."""
    slowed = Signal(object)
    """A Slowdown, once for each load that fills its card: its steps take much longer than was planned."""

    def __init__(self, worker: EngineThread, settings: SettingsStore, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker = worker
        self._settings = settings
        self._tasks = Tasks()
        self._load_id: str | None = None
        self._load_task: asyncio.Task[None] | None = None
        self.ready: Ready | None = None
        self.loading: Loading | None = None
        self.fault: Fault | None = None
        """Why the last load failed."""
        self.devices: tuple[Device, ...] = ()
        self.idle_card = ""
        """Why the engine cannot use a card that is here, and what to do."""
        self.stalled = False
        """The load does not move."""
        self.link_bytes_per_s: dict[str, int] = {}
        """How fast main memory is copied to a card, by the choice of it, once that was measured."""
        self._links_asked: set[str] = set()
        self.kept_free_bytes = 0
        """What the next load leaves free of a card beyond the usual."""
        self._pace: StepPace | None = None
        """Until it was told."""
        worker.stalled.connect(self._on_stalled)
        worker.lost.connect(self._on_lost)

    # ---------------------------------------------------------------- load and unload

    def load(self) -> None:
        """Load the model that the settings name on the device they name; a running load is given up."""
        self._cancel_load()
        self._load_id = secrets.token_hex(16)
        self.ready, self.fault, self.stalled = None, None, False
        chosen = self._settings.current
        request = LoadRequest(
            request_id=self._load_id,
            model=chosen.model,
            device=chosen.device,
            precision=chosen.precision,
            context_tokens=chosen.context_tokens,
            variants=chosen.variants,
            kept_free_bytes=self.kept_free_bytes,
        )
        self.loading = Loading(request_id=self._load_id, stage="Starting the engine", fraction=0.0)
        self.changed.emit()
        self._load_task = self._tasks.spawn(self._run_load(request))

    def reload(self) -> None:
        """What the settings name is another model now."""
        self.leaving.emit()
        self.load()

    def unload(self) -> None:
        """Free the model's memory; the next draft loads it again."""
        self.leaving.emit()
        self._cancel_load()
        self._load_id = self.ready = self.loading = self.fault = None
        self._worker.unload()
        self.changed.emit()

    async def ensure_loaded(self) -> bool:
        """Load the model if nobody has. False if it could not be, and `failed` has told why."""
        import asyncio  # see app.worker.tasks

        if self.ready is None and self._load_id is None:
            self.load()
        while self._load_id is not None and self._load_task is not None:
            await asyncio.wait({self._load_task})
        return self.ready is not None

    def measure_link(self, card: Device) -> None:
        """Once a load, and while the engine that is there has nothing else to do."""
        chosen = device_setting(card)
        if self.ready and chosen not in self._links_asked:
            self._links_asked.add(chosen)
            self._tasks.spawn(self._measure_link(chosen))

    async def _measure_link(self, chosen: str) -> None:
        request = LinkRequest(request_id=secrets.token_hex(16), device=chosen)
        async for event in self._worker.measure_link(request):
            match event:
                case LinkMeasured():
                    self.link_bytes_per_s[chosen] = event.bytes_per_s
                    self.link_measured.emit()
                case Cancelled():
                    self._links_asked.discard(chosen)

    async def close(self) -> None:
        await self._tasks.close()

    @property
    def max_batch(self) -> int:
        """The most drafts that can be asked for at once; until an engine has told, those of one place."""
        return self.ready.capabilities.max_batch if self.ready else MOST_VARIANTS

    def _cancel_load(self) -> None:
        if self._load_id is not None:
            self._worker.cancel(self._load_id)

    async def _run_load(self, request: LoadRequest) -> None:
        if request.request_id != self._load_id:  # given up before it began
            return
        async for event in self._worker.load(request):
            if request.request_id != self._load_id:
                continue
            self.stalled = False
            if not isinstance(event, Loading):
                self._load_id = None
            if isinstance(event, Failed):
                self.fault = event.fault
            self.note(event)
            if isinstance(event, Failed):
                self.failed.emit(event.fault)

    # ---------------------------------------------------------------- what the engine says

    def note(self, event: Event, drafts: int = 1) -> None:
        """What an event of a load or a draft says of the model: an engine that starts afresh for a draft
        loads its model first. drafts: that share a step.
        """
        former = self.ready, self.loading
        match event:
            case Loading():
                self.ready, self.loading = None, event
                if event.devices:
                    self.devices, self.idle_card = event.devices, event.idle_card
            case Ready():
                self.ready, self.loading = event, None
                self._links_asked = set(self.link_bytes_per_s)  # what failed may go well now
                from app.worker.step_pace import StepPace, fills_card  # the first paint does not need them

                self._pace = StepPace() if fills_card(event) else None
            case Frame() if self.ready and self._pace:
                self._note_pace(event, drafts, self.ready, self._pace)
            case Failed() | Cancelled():
                self.loading = None
                if isinstance(event, Failed) and event.kind in _LOST:
                    self.ready = None
            case Finished() if self.ready and event.stats.peak_bytes > self.ready.on_device_bytes:
                # A draft takes more than the weights; not every device tells how much.
                taken = event.stats.peak_bytes + self.ready.streamed_bytes
                self.ready = msgspec.structs.replace(self.ready, memory_bytes=taken)
        if (self.ready, self.loading) != former:
            self.changed.emit()

    def _note_pace(self, frame: Frame, drafts: int, ready: Ready, pace: StepPace) -> None:
        from app.worker.step_pace import planned_step_s

        link_bytes_per_s = self.link_bytes_per_s.get(device_setting(ready.device), 0)
        if slowdown := pace.note(frame, drafts, planned_step_s(ready, link_bytes_per_s)):
            self._pace = None
            self.kept_free_bytes += KEPT_FREE_BYTES
            self.slowed.emit(slowdown)

    def _on_lost(self) -> None:
        if self.ready:
            self.ready = None
            self.changed.emit()

    def _on_stalled(self, request_id: str) -> None:
        if request_id == self._load_id:
            self.stalled = True
            self.changed.emit()

    def wait_longer(self) -> None:
        """The writer gives a stuck load more time."""
        self.stalled = False
        self.changed.emit()

    def restart_engine(self) -> bool:
        """End the stuck engine; what runs in it fails, and the next draft starts it afresh. False if the
        engine has no process of its own.
        """
        self.stalled = False
        self.changed.emit()
        return self._worker.restart()
