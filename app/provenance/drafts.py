"""Tell whose the words are that are kept of drafts."""

from __future__ import annotations

from PySide6.QtCore import QMimeData, QObject

from app.documents.text import utf16_length
from app.drafting.controller import DraftController
from app.drafting.draft_picking import DraftPicking
from app.drafting.draft_session import DraftSession
from app.editor.placement import Placement
from app.provenance.clipboard import put_runs
from app.provenance.matching import rewritten
from app.provenance.paragraphs import Run
from app.provenance.tracker import Provenance
from app.worker.model_session import ModelSession
from engine.protocol.events import Prefilled

UNNAMED = "a model without a name"


class DraftedWords(QObject):
    def __init__(
        self, provenance: Provenance, drafts: DraftController, picking: DraftPicking, model: ModelSession
    ) -> None:
        super().__init__(drafts)
        self._provenance = provenance
        self._model = model
        self._labels: dict[str, str] = {}
        """Of the models, by the requests that they answered."""
        drafts.requests.prefilled.connect(self._on_prefilled)
        drafts.putting_in.connect(self._on_putting_in)
        picking.copying.connect(self._on_copying)

    def put_in(self, placement: Placement, text: str, model: str) -> None:
        """A model's text is about to come there."""
        owner, (start, end) = model or UNNAMED, placement.bounds
        if placement.passage:
            runs = rewritten(placement.passage, self._provenance.runs_between(start, end), text, owner)
        else:
            begin = utf16_length(placement.separator)
            runs = [Run(begin, begin + utf16_length(text), owner)]
        self._provenance.replace(start, end, placement.separator + text + placement.tail, runs)

    def copy(self, data: QMimeData, model: str) -> None:
        """A model's text goes into the clipboard."""
        put_runs(data, [Run(0, utf16_length(data.text()), model or UNNAMED)])

    def _model_of(self, draft: DraftSession) -> str:
        """That drafted what is shown."""
        return self._labels.get(draft.variants[draft.shown_variant].made_as.request_id, "")

    def _on_prefilled(self, event: Prefilled) -> None:
        if self._model.ready:
            self._labels[event.request_id] = self._model.ready.label

    def _on_putting_in(self, draft: DraftSession, text: str) -> None:
        self.put_in(draft.placement, text, self._model_of(draft))

    def _on_copying(self, data: QMimeData, draft: DraftSession) -> None:
        self.copy(data, self._model_of(draft))
