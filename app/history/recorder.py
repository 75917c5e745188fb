"""The Recorder: hands every draft of a page to the history once it has settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from PySide6.QtCore import QObject

from app.documents.document import Document
from app.drafting.controller import DraftController
from app.drafting.draft_session import DraftSession
from app.drafting.variant import Variant
from app.history import changes
from app.history.record import Asked, DraftRecord, VariantRecord
from app.history.replay.tap import FrameTap
from app.history.replay.trace import Trace
from app.history.store import HistoryStore
from app.settings.schema import Settings
from app.settings.store import SettingsStore
from app.worker.model_session import ModelSession
from engine.protocol.events import Prefilled
from engine.protocol.requests import DraftRequest

if TYPE_CHECKING:
    import sqlite3  # the first paint does not need it

_PLACE_CHARACTERS = 40
_LEAST_AFTER = 4096
_PRUNED_EVERY = 20
"""Drafts that are added."""


@dataclass
class _Asked:
    """What a draft was asked with, until it has ended."""

    request: DraftRequest
    """For its place alone."""
    number: int
    """Of its place in the request that was sent."""
    prompt: str = ""
    cut_chars: int = 0
    is_kept: bool = False
    """In the history."""


class Recorder(QObject):
    def __init__(
        self,
        document: Document,
        drafts: DraftController,
        model: ModelSession,
        settings: SettingsStore,
        store: HistoryStore,
        tap: FrameTap,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._document = document
        self._model = model
        self._settings = settings
        self._store = store
        self._tap = tap
        self._unnamed = ""
        """The id of a text without a file that drafts were kept of."""
        self._added = 0
        self._asked: dict[DraftSession, _Asked] = {}
        drafts.requests.sent.connect(self._on_sent)
        drafts.requests.prefilled.connect(self._on_prefilled)
        drafts.settled.connect(self._on_settled)
        drafts.ended.connect(self._on_ended)
        document.changed.connect(self._on_document)
        settings.changed.connect(self._on_settings)
        self._limits = _limits(settings.current)

    def _on_sent(self, request: DraftRequest, drafts: list[DraftSession]) -> None:
        for number, draft in enumerate(drafts):
            seed = (request.seed + number * request.variants) % 2**63
            places = request.places[number : number + 1]
            self._asked[draft] = _Asked(msgspec.structs.replace(request, places=places, seed=seed), number)

    def _on_prefilled(self, event: Prefilled) -> None:
        for asked in self._asked.values():
            if (asked.request.request_id, asked.number) == (event.request_id, event.place):
                asked.prompt, asked.cut_chars = event.prompt, event.cut_chars

    def _on_settled(self, draft: DraftSession) -> None:
        asked, chosen = self._asked.get(draft), self._settings.current
        if asked is None or not chosen.history:
            return
        of_request = asked.request.request_id
        variants = [variant for variant in draft.variants if variant.made_as.request_id == of_request]
        if not variants:
            return
        record = self._record(draft, asked, variants)
        traces = [self._tap.of(variant) for variant in variants]
        self._store.write(partial(_add, record=record, traces=traces))
        asked.is_kept = True
        self._added += 1
        if self._added % _PRUNED_EVERY == 0:
            self._store.prune(chosen)
        self._unnamed = "" if record.path else record.document_id

    def _record(self, draft: DraftSession, asked: _Asked, variants: list[Variant]) -> DraftRecord:
        place, ready, document = asked.request.places[0], self._model.ready, self._document
        return DraftRecord(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            document_id=document.id,
            path=str(document.path or ""),
            name=document.name,
            place=_last_words(place.before),
            verb=draft.verb.label,
            instruction=draft.instruction,
            model=ready.label if ready else "",
            precision=ready.precision if ready else "",
            device=ready.device.name if ready else "",
            asked=Asked(request=_trimmed(asked), prompt=asked.prompt, cut_chars=asked.cut_chars),
            variants=tuple(
                VariantRecord(text=variant.text, seed=variant.seed, stats=variant.stats)
                for variant in variants
            ),
        )

    def _on_document(self) -> None:
        document = self._document
        if document.path and document.id == self._unnamed:
            self._unnamed = ""
            self._store.name_document(document.id, document.path)

    def _on_settings(self, chosen: Settings) -> None:
        if self._limits != _limits(chosen):
            self._limits = _limits(chosen)
            self._store.prune(chosen)

    def _on_ended(self, draft: DraftSession) -> None:
        if draft in self._asked and not self._asked[draft].is_kept:
            self._on_settled(draft)  # given up, where one of its variants had finished
        asked = self._asked.pop(draft, None)
        if draft.kept and (asked.is_kept if asked else self._settings.current.history):
            kept = draft.variants[draft.shown_variant]
            self._store.mark_kept(kept.made_as.request_id, kept.seed)


def _add(database: sqlite3.Connection, record: DraftRecord, traces: Sequence[Trace | None]) -> None:
    """Packs the steps of the variants, in the history's thread."""
    packed = (trace.encode() if trace and trace.steps else b"" for trace in traces)
    pairs = zip(record.variants, packed, strict=True)
    variants = tuple(msgspec.structs.replace(variant, trace=data) for variant, data in pairs)
    changes.add(database, msgspec.structs.replace(record, variants=variants))


def _limits(chosen: Settings) -> tuple[int | None, int]:
    return chosen.history_days, chosen.history_mb


def _trimmed(asked: _Asked) -> DraftRequest:
    """Without what the model was not given: with the rest it is given the same again."""
    place, budget = asked.request.places[0], asked.request.context_tokens or 0
    place = msgspec.structs.replace(
        place, before=place.before[asked.cut_chars :], after=place.after[: max(_LEAST_AFTER, 2 * budget)]
    )
    return msgspec.structs.replace(asked.request, places=(place,))


def _last_words(before: str) -> str:
    """The last of them in the text before a place."""
    words = " ".join(before[-4 * _PLACE_CHARACTERS :].split())
    if len(words) <= _PLACE_CHARACTERS:
        return words
    return words[-_PLACE_CHARACTERS:].partition(" ")[2] or words[-_PLACE_CHARACTERS:]
