"""The DraftReplay: how a settled draft developed, shown in its place in the page."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.drafting.controller import DraftController
from app.drafting.draft_session import DraftSession
from app.drafting.variant import Variant
from app.editor.page import Page
from app.history.replay.tap import FrameTap
from app.settings.store import SettingsStore
from app.widgets.theme import reduces_motion
from engine.protocol.errors import Fault

if TYPE_CHECKING:
    from app.history.replay.player import Replay
    from app.history.ui.replay_bar import ReplayBar

NOT_KEPT = Fault(
    "trace", "The steps of this draft are no longer there.", "Retry drafts anew, and its steps are kept."
)


class DraftReplay(QObject):
    """Of the current draft, until it is closed or the draft is another one. The text is not touched."""

    saved = Signal(Path)
    failed = Signal(Fault)

    def __init__(
        self,
        page: Page,
        drafts: DraftController,
        tap: FrameTap,
        settings: SettingsStore,
        folder: Callable[[], str],
    ) -> None:
        """folder: where a replay is saved, unless the writer chooses another one."""
        super().__init__(drafts)
        self._page = page
        self._drafts = drafts
        self._tap = tap
        self._settings = settings
        self._folder = folder
        self._draft: DraftSession | None = None
        self._variant: Variant | None = None
        self.replay: Replay | None = None
        """The one that is open."""

    @cached_property
    def bar(self) -> ReplayBar:
        from app.history.ui.replay_bar import ReplayBar  # the first paint does not need it

        bar = ReplayBar(self._page, self._drafts, self._folder)
        bar.closed.connect(self.close)
        bar.export.saved.connect(self.saved)
        bar.export.failed.connect(self.failed)
        return bar

    def open(self) -> None:
        """Play how the current draft developed."""
        from app.history.replay.player import Replay  # the first paint does not need it

        self.close()
        draft = self._drafts.current
        if draft is None or (shown := draft.shown) is None:
            return
        trace = self._tap.of(shown)
        if trace is None or not trace.steps:
            self.failed.emit(NOT_KEPT)
            return
        self._drafts.go_to_draft(draft)
        may_play = not reduces_motion(self._settings.current.reduced_motion)
        self._draft, self._variant = draft, shown
        self.replay = Replay(trace, self, may_play=may_play)
        self.replay.changed.connect(self._show)
        draft.changed.connect(self._on_draft_changed)
        self.bar.open(self.replay)
        self._show()
        self.replay.turn()

    def close(self) -> None:
        """The settled draft comes back."""
        draft, variant = self._draft, self._variant
        if self._end() and draft is not None and draft.shown is variant:
            draft.show(draft.shown_variant)
            self._page.setFocus()

    def _end(self) -> bool:
        """Whether one was open."""
        if self.replay is None:
            return False
        assert self._draft is not None
        self._draft.changed.disconnect(self._on_draft_changed)
        self.replay.changed.disconnect(self._show)
        self.replay.pause()
        self.replay.deleteLater()
        self.replay = self._draft = self._variant = None
        self.bar.close_bar()
        return True

    def _show(self) -> None:
        replay, draft, variant = self.replay, self._draft, self._variant
        assert replay is not None
        assert draft is not None
        assert variant is not None
        overlay = self._drafts.overlays[draft]
        if replay.index == replay.last:
            overlay.settle(variant.text, variant.tokens)
            overlay.mark(None, (), variant.corrected)
        else:
            trace, index = replay.trace, replay.index
            shown, corrected = trace.shown_at(index), trace.corrected_at(index)
            overlay.replay(shown, corrected, next_one=replay.plays and index > 0)

    def _on_draft_changed(self) -> None:
        """Kept, drafted again, another variant: what is shown then is no replay."""
        if self._draft is not None and self._draft.shown is not self._variant:
            self._end()
            self._page.setFocus()
