"""The requests of a page's drafts: built from the settings, sent, and their events routed."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import msgspec
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QTextCursor

from app.drafting.draft_session import DraftSession
from app.editor.join import JoinMode, TextContext, ends_sentence
from app.editor.passages import protected
from app.editor.placement import draft_source, text_context
from app.settings.store import SettingsStore
from app.worker.engine_thread import EngineThread
from app.worker.model_session import ModelSession
from app.worker.tasks import Tasks
from engine.protocol.errors import Fault
from engine.protocol.events import (
    Cancelled,
    Committed,
    Denoising,
    Event,
    Failed,
    Finished,
    Frame,
    Prefilled,
    Prefilling,
)
from engine.protocol.requests import DraftPlace, DraftRequest, Extent, SamplingOverrides

MENDING_LENGTHS = (1.0, 1.0, 0.1)
"""Two drafts of the words, and one without them: the likeliest is taken."""
LEAST_TOKENS = 4
"""Of a sentence, and behind one that was begun: where the model finds nothing to add, it ends at once."""


class DraftRequests(QObject):
    """One request can have several places; each event goes to the session of its request and place."""

    failed = Signal(Fault)
    """Once for all places of a request."""
    sent = Signal(DraftRequest, list)
    """And the DraftSessions that its places are drafted for."""
    prefilled = Signal(Prefilled)
    """What one of its places' prompts is."""

    def __init__(
        self, worker: EngineThread, model: ModelSession, settings: SettingsStore, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._worker = worker
        self._model = model
        self._settings = settings
        self._tasks = Tasks()
        self._waiting: dict[str, dict[int, DraftSession]] = {}
        """The sessions that wait for events, by request and place."""
        worker.stalled.connect(self._on_stalled)

    def send(self, drafts: Sequence[DraftSession]) -> None:
        """One request for all of them, by the text as it is now; several have one variant each."""
        first, variants = drafts[0], 1
        if len(drafts) == 1 and first.mends:
            variants = min(len(MENDING_LENGTHS), self._model.max_batch)
        elif len(drafts) == 1 and not first.pinned:
            variants = len(first.verb.length_shares) or self._settings.current.variants
            variants = min(variants, self._model.max_batch)
        places = tuple(_place(draft, self._settings.current.extent) for draft in drafts)
        steps_share = max(draft.verb.steps_share for draft in drafts)
        self._send(self._request(places, variants, steps_share, first.retries), drafts)

    def send_again(self, draft: DraftSession, request: DraftRequest) -> None:
        """What was asked for once, of one place, by the text and the settings as they were then."""
        variants = min(request.variants, self._model.max_batch)
        again = {"request_id": secrets.token_hex(16), "variants": variants}
        self._send(msgspec.structs.replace(request, **again), [draft])

    def _send(self, request: DraftRequest, drafts: Sequence[DraftSession]) -> None:
        variants = request.variants
        self._waiting[request.request_id] = dict(enumerate(drafts))
        for number, draft in enumerate(drafts):
            place = request.places[number]
            draft.placement.extent = "paragraphs" if place.joins_after else place.extent
            begins = request.seed + number * variants
            seeds = [(begins + variant) % 2**63 for variant in range(variants)]
            draft.begin(request.request_id, seeds, request.sampling.max_steps or 0)
        self.sent.emit(request, list(drafts))
        self._tasks.spawn(self._run(request))

    def cancel(self, draft: DraftSession) -> None:
        """Give up its draft; other places of the request may go on."""
        assert draft.request_id is not None
        waiting = self._waiting.get(draft.request_id, {})
        for place in [place for place, other in waiting.items() if other is draft]:
            del waiting[place]
        if not waiting:
            self._worker.cancel(draft.request_id)

    def at(self, cursor: QTextCursor) -> DraftRequest:
        """What a draft that begins there would ask for."""
        selection, at = draft_source(cursor)
        around = text_context(cursor.document(), at.position())
        lead = around.join.lead(around)
        before, after = (selection, "") if selection else (around.before, around.after)
        place = DraftPlace(before=before + lead, after=after, extent=self._settings.current.extent)
        return self._request((place,), 1)

    async def close(self) -> None:
        await self._tasks.close()

    def _request(
        self, places: tuple[DraftPlace, ...], variants: int, steps_share: float = 1.0, retries: int = 0
    ) -> DraftRequest:
        """By the settings as they are now."""
        chosen = self._settings.current
        seed = secrets.randbits(63) if chosen.seed is None else (chosen.seed + retries * variants) % 2**63
        return DraftRequest(
            request_id=secrets.token_hex(16),
            places=places,
            variants=variants,
            canvases=chosen.canvases,
            seed=seed,
            sampling=SamplingOverrides(
                max_steps=chosen.max_steps,
                steps_share=steps_share,
                t_min=chosen.t_min,
                t_max=chosen.t_max,
                entropy_bound=chosen.entropy_bound,
                early_stop=chosen.early_stop,
            ),
            context_tokens=chosen.context_tokens,
        )

    async def _run(self, request: DraftRequest) -> None:
        waiting = self._waiting[request.request_id]
        try:
            if await self._model.ensure_loaded():
                if waiting:
                    async for event in self._worker.draft(request):
                        self._model.note(event, len(request.places) * request.variants)
                        if not waiting:
                            return
                        self._route(event, waiting)
            else:  # the model has told why
                for draft in list(waiting.values()):
                    draft.give_up()
        finally:
            del self._waiting[request.request_id]

    def _route(self, event: Event, waiting: dict[int, DraftSession]) -> None:
        match event:
            case Prefilled():
                self.prefilled.emit(event)
            case Prefilling() | Frame() | Committed() | Finished():
                if draft := waiting.get(event.place):
                    draft.on_event(event)
                    if draft.request_id is None:
                        waiting.pop(event.place, None)
            case Denoising():
                for draft in waiting.values():
                    draft.on_event(event)
            case Failed() | Cancelled():
                ended = list(waiting.values())
                waiting.clear()
                for draft in ended:
                    draft.on_event(event)
                if isinstance(event, Failed):
                    self.failed.emit(event.fault)

    def _on_stalled(self, request_id: str) -> None:
        for draft in self._waiting.get(request_id, {}).values():
            draft.set_stalled(True)


def _place(draft: DraftSession, extent: Extent) -> DraftPlace:
    """What the draft is asked for, by the text as it is now."""
    placement, verb = draft.placement, draft.verb
    context, joins_after = placement.context(), verb.joins_after or draft.mends
    if draft.selection:
        context = TextContext(draft.selection + placement.separator, "")
    passage = placement.passage
    line = context.before.rpartition("\n")[2].strip()
    goes_on = placement.mode is JoinMode.INLINE and line and not ends_sentence(line)
    held = protected(passage, context.before, context.after) if draft.holds_names else ()
    share, lengths = verb.renoise_share, verb.length_shares
    if draft.pinned:
        passage, held, share, lengths = draft.pinned_text, draft.pinned, 1.0, lengths[:1]
    if draft.mends:
        lengths = MENDING_LENGTHS
    return DraftPlace(
        before=context.before,
        after=placement.tail + context.after if draft.mends else context.after,
        instruction="\n".join(filter(None, (verb.instruction, draft.instruction))),
        start_text=passage,
        held=held,
        renoise_share=share,
        changes=draft.mends,
        joins_after=joins_after,
        length_shares=lengths,
        length_tokens=verb.length_tokens if joins_after else None,
        extent=extent,
        min_tokens=LEAST_TOKENS if (extent == "sentence" or goes_on) and not joins_after else 0,
    )
