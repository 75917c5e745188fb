"""The drafting state machine: from the button to keep or discard."""

from __future__ import annotations

import asyncio
import secrets
import statistics
from collections import deque
from collections.abc import Coroutine
from enum import Enum
from typing import assert_never

import msgspec
from PySide6.QtCore import QObject, Signal

from app.editor.draft_layout import utf16_length
from app.editor.page import Page
from app.editor.placement import JoinMode
from app.settings.store import SettingsStore
from app.widgets.theme import reduces_motion
from app.worker.engine_thread import EngineThread
from engine.protocol.errors import Fault
from engine.protocol.events import (
    Cancelled,
    Committed,
    Device,
    Event,
    Failed,
    Finished,
    Frame,
    Loading,
    Prefilled,
    Ready,
    Stats,
)
from engine.protocol.requests import DraftPlace, DraftRequest, LoadRequest, SamplingOverrides

FIRST_RESERVED_LINES = 4
"""Lines kept free for a draft before the first one has told how long they are."""


NOTHING_TO_ADD = Fault(
    "output", "The model had nothing to add here.", "Try again, or write a few more words first."
)


class DraftState(Enum):
    IDLE = "idle"
    PREPARING = "preparing"
    DENOISING = "denoising"
    SETTLED = "settled"


class DraftSession(QObject):
    """One draft at a time, in one page, by one engine.

    changed: the state, the step or the variant shown is another one. model_changed: what is loaded, or how
    far. failed: a load or a draft. finished: what the draft cost.
    """

    changed = Signal()
    model_changed = Signal()
    failed = Signal(Fault)
    finished = Signal(Stats)

    def __init__(
        self, page: Page, worker: EngineThread, settings: SettingsStore, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._page = page
        self._worker = worker
        self._settings = settings
        self._tasks: set[asyncio.Task[None]] = set()
        self._request_id: str | None = None
        self._load_id: str | None = None
        self._load_task: asyncio.Task[None] | None = None
        self._selected = ""
        self._canvases = 1
        self._retries = 0
        self._recent_lines: deque[int] = deque(maxlen=8)
        self.state = DraftState.IDLE
        self.step, self.max_steps = 0, 0
        self.ready: Ready | None = None
        self.fault: Fault | None = None
        """Why the last load failed."""
        self.loading: Loading | None = None
        self.devices: tuple[Device, ...] = ()
        self.idle_card = ""
        """Why the engine cannot use a card that is here, and what to do."""
        self.stalled = False
        self.variants: list[str] = []
        """The settled texts of this place, the oldest first."""
        self.shown_variant = 0
        worker.stalled.connect(self._on_stalled)

    # ---------------------------------------------------------------- the model

    def load(self) -> None:
        """Load the model that the settings name on the device they name; a running load is given up."""
        if self._load_id is not None:
            self._worker.cancel(self._load_id)
        self._load_id = secrets.token_hex(16)
        self.ready, self.fault = None, None
        chosen = self._settings.current
        request = LoadRequest(
            request_id=self._load_id,
            model=chosen.model,
            device=chosen.device,
            precision=chosen.precision,
            context_tokens=chosen.context_tokens,
        )
        self.loading = Loading(request_id=self._load_id, stage="Starting the engine", fraction=0.0)
        self.model_changed.emit()
        self._load_task = self._spawn(self._run_load(request))

    def reload(self) -> None:
        """What the settings name is another model now; a draft on its way is given up."""
        self._abandon()
        self.load()

    def unload(self) -> None:
        """Free the model's memory; the next draft loads it again. A draft on its way is given up."""
        self._abandon()
        if self._load_id is not None:
            self._worker.cancel(self._load_id)
        self._load_id = self.ready = self.loading = self.fault = None
        self._worker.unload()
        self.model_changed.emit()

    async def _run_load(self, request: LoadRequest) -> None:
        if request.request_id != self._load_id:  # given up before it began
            return
        async for event in self._worker.load(request):
            if request.request_id == self._load_id:
                self._on_load_event(event)

    def _on_load_event(self, event: Event) -> None:
        self.stalled = False
        match event:
            case Loading():
                self._on_loading(event)
            case Ready():
                self.ready, self.loading = event, None
                self._load_id = None
            case Failed():
                self.loading, self.fault = None, event.fault
                self._load_id = None
                self.failed.emit(event.fault)
            case _:
                self.loading = None
                self._load_id = None
        self.model_changed.emit()

    def _on_loading(self, event: Loading) -> None:
        self.loading = event
        if event.devices:
            self.devices, self.idle_card = event.devices, event.idle_card

    # ---------------------------------------------------------------- what the writer does

    def draft(self) -> None:
        """Draft at the caret. Where a draft stands already: keep it if the caret is at it and it is in view,
        else show it.
        """
        if self.state is DraftState.SETTLED and self._page.at_draft() and self._page.shows_draft():
            self.keep()
        elif self.state is not DraftState.IDLE:
            self._page.show_gap()
        else:
            self._begin()

    def _begin(self) -> None:
        cursor = self._page.textCursor()
        self._selected = self._page.text_between(cursor.selectionStart(), cursor.selectionEnd()).rstrip("\n")
        if cursor.hasSelection():
            cursor.setPosition(cursor.selectionStart() + utf16_length(self._selected))
            self._page.setTextCursor(cursor)
        self.variants, self._retries = [], 0
        lines = round(statistics.median(self._recent_lines)) if self._recent_lines else FIRST_RESERVED_LINES
        self._page.draft.set_reduced_motion(reduces_motion(self._settings.current))
        self._page.draft.begin(cursor, lines * self._settings.current.canvases)
        self._page.show_gap()
        self._send()

    def retry(self) -> None:
        """Another draft in the same place; those before it stay within reach."""
        if self.state is not DraftState.SETTLED:
            return
        self._retries += 1
        self._page.draft.restart()
        self._send()

    def stop(self) -> None:
        """What stands becomes the draft."""
        if self.state not in (DraftState.PREPARING, DraftState.DENOISING):
            return
        text = self._page.draft.standing()
        self._give_up()
        if text.strip():
            self._settle(text)
        else:
            self._back_out()

    def keep(self) -> None:
        if self.state is DraftState.SETTLED:
            self._page.keep_draft()
            self._set_state(DraftState.IDLE)

    def discard(self) -> None:
        """Leave no trace, in whatever state."""
        self._give_up()
        self._page.draft.clear()
        self._set_state(DraftState.IDLE)

    def show_variant(self, index: int) -> None:
        if self.state is DraftState.SETTLED and 0 <= index < len(self.variants):
            self.shown_variant = index
            self._page.draft.settle(self.variants[index])
            self.changed.emit()

    def wait_longer(self) -> None:
        """The writer gives a stuck engine more time."""
        self.stalled = False
        self.changed.emit()

    def restart_engine(self) -> None:
        """End the stuck engine; its draft fails, and the next one starts it afresh."""
        self.stalled = False
        if not self._worker.restart():
            self.discard()
        self.changed.emit()

    async def close(self) -> None:
        """Give up everything that runs, and wait until it has ended."""
        self._give_up()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ---------------------------------------------------------------- one request

    def request_at_caret(self) -> DraftRequest:
        """What draft() would send now, with nothing selected."""
        around = self._page.text_context(self._page.textCursor().position())
        opens_paragraph = around.join.begun is JoinMode.NEW_PARAGRAPH
        return self._request(around.before + around.join.separator * opens_paragraph, around.after)

    def _request_here(self) -> DraftRequest:
        """A request for the draft's place, by the text as it is now."""
        before, after = self._page.draft.prompt()
        if self._selected:
            before, after = self._selected + self._page.draft.separator(), ""
        return self._request(before, after)

    def _request(self, before: str, after: str) -> DraftRequest:
        """By the settings as they are now."""
        chosen = self._settings.current
        seed = secrets.randbits(63) if chosen.seed is None else (chosen.seed + self._retries) % 2**63
        return DraftRequest(
            request_id=secrets.token_hex(16),
            places=(DraftPlace(before=before, after=after),),
            canvases=chosen.canvases,
            seed=seed,
            sampling=SamplingOverrides(
                max_steps=chosen.max_steps,
                t_min=chosen.t_min,
                t_max=chosen.t_max,
                entropy_bound=chosen.entropy_bound,
                early_stop=chosen.early_stop,
            ),
            context_tokens=chosen.context_tokens,
        )

    def _send(self) -> None:
        request = self._request_here()
        self._request_id, self._canvases = request.request_id, request.canvases
        self.step, self.max_steps, self.stalled = 0, request.sampling.max_steps or 0, False
        self._set_state(DraftState.PREPARING)
        if self.ready is None and self._load_id is None:
            self.load()
        self._spawn(self._run_draft(request))

    async def _run_draft(self, request: DraftRequest) -> None:
        while self._load_id is not None and self._load_task is not None:
            await asyncio.wait({self._load_task})
        if request.request_id != self._request_id:
            return
        if self.ready is None:  # the load has told why
            self._request_id = None
            self._back_out()
            return
        async for event in self._worker.draft(request):
            if event.request_id != self._request_id:
                return
            self._on_draft_event(event)

    def _on_draft_event(self, event: Event) -> None:
        self.stalled = False
        match event:
            case Frame():
                self.step, self.max_steps = event.step, event.max_steps
                self._page.draft.show_frame(event)
                self._set_state(DraftState.DENOISING)
            case Committed():
                self._page.draft.commit(event.text)
            case Finished():
                self._request_id = None
                self._on_peak(event.stats.peak_bytes)
                text = self._page.draft.shown(event.text)
                if text:
                    self.finished.emit(event.stats)
                    self._settle(text)
                else:
                    self._fail(NOTHING_TO_ADD)
            case Failed():
                self._request_id = None
                self._on_load_ended()
                self._fail(event.fault)
                if event.kind == "engine-died":
                    self.ready = None
                    self.model_changed.emit()
            case Cancelled():
                self._request_id = None
                self._on_load_ended()
                self._back_out()
            case Loading():
                self.ready = None
                self._on_loading(event)
                self.model_changed.emit()
            case Ready():
                self.ready, self.loading = event, None
                self.model_changed.emit()
            case Prefilled():
                pass
            case _:
                assert_never(event)

    def _on_peak(self, peak_bytes: int) -> None:
        """A draft takes more than the weights; not every device tells how much."""
        if self.ready and peak_bytes > self.ready.memory_bytes:
            self.ready = msgspec.structs.replace(self.ready, memory_bytes=peak_bytes)
            self.model_changed.emit()

    def _on_load_ended(self) -> None:
        """A draft ended while the engine, started afresh for it, was loading its model."""
        if self.loading is not None:
            self.loading = None
            self.model_changed.emit()

    def _settle(self, text: str) -> None:
        self.variants.append(text)
        self.shown_variant = len(self.variants) - 1
        watched = self._page.watches_draft()
        self._page.draft.settle(text)
        if watched:
            self._page.show_gap()  # the bar may have grown out of the view
        self._recent_lines.append(max(1, round(self._page.draft.line_count() / self._canvases)))
        self._set_state(DraftState.SETTLED)
        self._page.announce("The draft is ready. Its facts are unchecked.")

    def _fail(self, fault: Fault) -> None:
        self._back_out()
        self.failed.emit(fault)

    def _back_out(self) -> None:
        """After a draft that came to nothing: the variant before it, or the bare page."""
        if self.variants:
            self._page.draft.settle(self.variants[self.shown_variant])
            self._set_state(DraftState.SETTLED)
        else:
            self._page.draft.clear()
            self._set_state(DraftState.IDLE)

    def _abandon(self) -> None:
        """Give up a draft that has not settled."""
        if self.state in (DraftState.PREPARING, DraftState.DENOISING):
            self._give_up()
            self._back_out()

    def _give_up(self) -> None:
        if self._request_id is not None:
            self._worker.cancel(self._request_id)
            self._request_id = None

    def _set_state(self, state: DraftState) -> None:
        self.state = state
        self.changed.emit()

    def _on_stalled(self, request_id: str) -> None:
        if request_id in (self._request_id, self._load_id):
            self.stalled = True
            self.changed.emit()

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a draft failed", "exception": error}
            )
