"""The status bar: what drafts, and where; what it does; word count. Figures stand in the tooltips."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from pathlib import Path

from PySide6.QtWidgets import QSizePolicy, QStatusBar, QWidget

from app.drafting.draft_session import DraftState
from app.drafting.variant import Variant
from app.provenance.statement import drafted, share
from app.widgets.device_label import device_label
from app.widgets.labels import ElidedLabel, quiet, quiet_label
from app.window.document_view import DocumentView
from app.window.word_count import WordCount
from app.worker.model_session import ModelSession
from engine.checkpoints.units import PRECISION_NAMES
from engine.protocol.events import Ready

GIB = 2**30


class StatusBar(QStatusBar):
    def __init__(self, view: DocumentView, model: ModelSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._drafts = view.drafts
        self._model = model
        self._engine = ""
        self._counts = 0, 0, Counter[str]()
        self._tells_drafted = False
        self.setSizeGripEnabled(False)
        self.setContentsMargins(24, 0, 24, 0)
        self.model = quiet(ElidedLabel(), "Model")
        self.state = quiet(ElidedLabel(), "State")
        self.words = quiet_label("Word count")
        self.model.setMinimumWidth(1)  # however long they grow, the window keeps its width
        self.state.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.addWidget(self.model)
        self.addWidget(self.state, 1)
        self.addPermanentWidget(self.words)
        self.word_count = WordCount(view.page, view.provenance.paragraphs, self)
        self.word_count.counted.connect(self._on_counted)
        view.document.changed.connect(self.word_count.count)
        view.drafts.changed.connect(self.show_state)
        self.show_state()
        self.word_count.count()

    def show_state(self) -> None:
        draft, ready, loading = self._drafts.current, self._model.ready, self._model.loading
        state = draft.state if draft else None
        if ready is not None:
            self.model.setText(f"{name_in_list(ready)} · on {ready.capabilities.where}")
        elif loading is not None:
            self.model.setText(f"{loading.stage} · {loading.fraction:.0%}")
        elif self._model.fault and self._model.fault.kind == "engine-missing":
            self.model.setText(self._engine or "The engine is not set up yet: nothing can be drafted")
        else:
            again = "tries again" if self._model.fault else "loads it"
            self.model.setText(f"No model is loaded · the next draft {again}")
        self.model.details = proof(ready) if ready else ""
        if state is DraftState.PREPARING:
            self.state.setText("reading your text" if loading is None else "waiting for the model")
        elif state is DraftState.DENOISING:
            self.state.setText("drafting")
        elif state is DraftState.SETTLED:
            self.state.setText("draft ready")
        else:
            self.state.setText("ready" if ready is not None else "")
        self.state.details = cost(draft.shown) if draft and draft.shown else ""

    def show_engine(self, text: str) -> None:
        """How far its set-up is; empty while there is none."""
        self._engine = text
        self.show_state()

    def tell_drafted(self, told: bool) -> None:
        """How many of the words were drafted; else it stands in the tool tip alone."""
        self._tells_drafted = told
        self._on_counted(*self._counts)

    def _on_counted(self, words: int, selected: int, owners: Counter[str]) -> None:
        self._counts = words, selected, owners
        of_all = f"{selected:,} of " if selected else ""
        told = f"{share(drafted(owners), words)} drafted" if words else ""
        shown = f" · {told}" if told and self._tells_drafted else ""
        self.words.setText(f"{of_all}{words:,} word{'' if words == 1 else 's'}{shown}")
        self.words.setToolTip(told)


def proof(ready: Ready) -> str:
    """How and where it drafts: `4-bit · RTX 4090 · 17.9 of 24 GB`."""
    if ready.on_device_bytes < GIB:
        memory = f"{ready.on_device_bytes / 2**20:.0f} MB"
    else:
        memory = f"{ready.on_device_bytes / GIB:.1f} of {ready.device.total_bytes / GIB:.0f} GB"
    precision = PRECISION_NAMES.get(ready.precision, ready.precision).capitalize()
    return f"{precision} · {device_label(ready.device)} · {memory}"


def cost(variant: Variant) -> str:
    """The steps and the time that a draft took."""
    if (stats := variant.stats) is None:
        return "It was stopped before it had settled."
    how = "It settled after" if stats.stopped_early else "It took all"
    return f"{how} {stats.steps} steps, in {stats.prefill_s + stats.denoise_s:.1f} s."


@lru_cache(maxsize=1)
def name_in_list(ready: Ready) -> str:
    """As the models are listed: one that was downloaded by its repository, not by its folder."""
    folder = Path(ready.model)
    if not folder.is_absolute():  # of the catalogue
        return ready.label
    from app.models.transfer.installation import read_record  # the first paint does not need it

    record = read_record(folder)
    return record.repo if record and record.repo else ready.label
