"""The status bar: model, precision, device, memory; what happened last; word count."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from PySide6.QtWidgets import QSizePolicy, QStatusBar, QWidget

from app.drafting.draft_session import DraftState
from app.widgets.device_label import device_label
from app.widgets.labels import quiet_label
from app.window.document_view import DocumentView
from app.window.word_count import WordCount
from app.worker.model_session import ModelSession
from engine.checkpoints.units import PRECISION_NAMES
from engine.protocol.events import Ready, Stats

GIB = 2**30


class StatusBar(QStatusBar):
    def __init__(self, view: DocumentView, model: ModelSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._drafts = view.drafts
        self._model = model
        self._last = ""
        self.setSizeGripEnabled(False)
        self.setContentsMargins(24, 0, 24, 0)
        self.model = quiet_label("Model and device", elided=True)
        self.state = quiet_label("State", elided=True)
        self.words = quiet_label("Word count")
        self.model.setMinimumWidth(1)  # however long they grow, the window keeps its width
        self.state.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.addWidget(self.model)
        self.addWidget(self.state, 1)
        self.addPermanentWidget(self.words)
        self.word_count = WordCount(view.page, self)
        self.word_count.counted.connect(self._on_counted)
        view.document.changed.connect(self.word_count.count)
        view.drafts.changed.connect(self.show_state)
        view.drafts.finished.connect(self._on_finished)
        view.drafts.failed.connect(self._on_failed)
        model.failed.connect(self._on_failed)
        self.show_state()
        self.word_count.count()

    def show_state(self) -> None:
        draft, ready, loading = self._drafts.current, self._model.ready, self._model.loading
        state = draft.state if draft else None
        if state is DraftState.PREPARING or ready is None:
            self._last = ""
        elif draft and state is DraftState.DENOISING:  # until it finishes, this is what will be told of it
            self._last = f"stopped at step {draft.step} of up to {draft.max_steps}"
        if ready is not None:
            self.model.setText(proof(ready))
        elif loading is not None:
            self.model.setText(f"{loading.stage} · {loading.fraction:.0%}")
        else:
            again = "tries again" if self._model.fault else "loads it"
            self.model.setText(f"No model is loaded · the next draft {again}")
        if state is DraftState.PREPARING:
            self.state.setText("reading your text" if loading is None else "waiting for the model")
        elif state is DraftState.DENOISING:
            self.state.setText("drafting")
        else:
            self.state.setText(self._last or ("ready" if ready is not None else ""))

    def _on_finished(self, stats: Stats) -> None:
        most = self._drafts.current.max_steps if self._drafts.current else stats.steps
        steps = f"settled in {stats.steps} of up to {most}" if stats.stopped_early else f"used all {most}"
        seconds = stats.prefill_s + stats.denoise_s
        self._last = f"{steps} steps · {seconds:.1f} s · {stats.tokens_per_s:.0f} tokens/s"

    def _on_failed(self) -> None:
        """A message tells of it."""
        self._last = ""
        self.show_state()

    def _on_counted(self, words: int, selected: int) -> None:
        of_all = f"{selected:,} of " if selected else ""
        self.words.setText(f"{of_all}{words:,} word" + ("" if words == 1 else "s"))


def proof(ready: Ready) -> str:
    """What drafts, how and where: `DiffusionGemma 26B · 4-bit · RTX 4090 · 17.9 of 24 GB`."""
    if ready.memory_bytes < GIB:
        memory = f"{ready.memory_bytes / 2**20:.0f} MB"
    else:
        memory = f"{ready.memory_bytes / GIB:.1f} of {ready.device.total_bytes / GIB:.0f} GB"
    precision = PRECISION_NAMES.get(ready.precision, ready.precision)
    return f"{name_in_list(ready)} · {precision} · {device_label(ready.device)} · {memory}"


@lru_cache(maxsize=1)
def name_in_list(ready: Ready) -> str:
    """As the models are listed: one that was downloaded by its repository, not by its folder."""
    folder = Path(ready.model)
    if not folder.is_absolute():  # of the catalogue
        return ready.label
    from app.models.transfer.installation import read_record  # the first paint does not need it

    record = read_record(folder)
    return record.repo if record and record.repo else ready.label
