"""What the message bar says of the engine: that it is missing, half set up, ready, or of an older version."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from app.drafting.controller import DraftController
from app.engine_setup.session import SetUpSession, SetUpState
from app.engine_setup.ui.texts import share_of
from app.widgets.message_bar import MessageBar
from app.worker.model_session import ModelSession
from engine.protocol.errors import Fault


class EngineNotices(QObject):
    """In the built app alone."""

    engine_asked = Signal()
    """The writer wants to see the Engine page."""

    progressed = Signal(str)
    """How far the set-up is, in a few words; empty while there is none."""

    def __init__(
        self,
        notice: MessageBar,
        model: ModelSession,
        drafts: DraftController,
        session: SetUpSession,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._drafts = drafts
        self._is_new = False
        """An engine is there that does not draft yet."""
        self._notice = notice
        self._model = model
        self._session = session
        self._told_update = False
        self._told_fault = ""
        model.failed.connect(self._on_failed)
        model.changed.connect(self._on_model_changed)
        session.changed.connect(self._on_session_changed)
        session.progressed.connect(self._on_progressed)
        session.installed.connect(self._on_installed)
        drafts.changed.connect(self._take_new)
        session.leaving.connect(model.unload)
        session.tidy()

    def _on_failed(self, fault: Fault) -> None:
        if fault.kind == "engine-missing":
            self._show_missing(fault)
        elif fault.kind == "engine-died" and not self._model.devices:  # it has never come up
            ways = ("Try again", self._model.reload), ("Repair the engine…", self._on_asked)
            self._notice.show_fault(fault, *ways)

    def _show_missing(self, fault: Fault) -> None:
        match self._session.state:
            case SetUpState.RUNNING:
                self._notice.show_message(
                    "The engine is being set up; drafts come once it is there.",
                    "",
                    ("Show how far it is", self._on_asked),
                )
            case SetUpState.PAUSED:
                told = "To draft, Mezzotint needs its engine, whose set-up has not ended."
                self._notice.show_message(told, "", ("Go on with it…", self._on_asked))
            case _:
                self._notice.show_message(fault.message, "", ("Set it up…", self._on_asked))

    def _on_asked(self) -> None:
        self._notice.hide()
        self.engine_asked.emit()

    def _on_progressed(self) -> None:
        share = share_of(self._session.progress)
        self.progressed.emit(f"The engine is being set up · {share:.0%}")

    def _on_session_changed(self) -> None:
        if self._session.state is SetUpState.RUNNING:
            if self._told_fault and self._notice.text == self._told_fault:
                self._notice.hide()
            return
        self.progressed.emit("")
        if fault := self._session.fault:
            self._notice.show_fault(fault, ("Open the engine’s page", self._on_asked))
            self._told_fault = self._notice.text

    def _on_installed(self) -> None:
        self._notice.hide()
        self._is_new = True
        self._take_new()

    def _take_new(self) -> None:
        """Once nothing develops: a draft would go with the old engine."""
        if self._is_new and not any(draft.develops for draft in self._drafts.overlays):
            self._is_new = False
            self._model.unload()
            self._model.load()

    def _on_model_changed(self) -> None:
        """Once a run, when the writer can draft all the same."""
        if self._model.ready is None or self._told_update:
            return
        self._told_update = True
        if self._session.state is SetUpState.OUTDATED:
            told = "This version of Mezzotint goes with newer parts of the engine."
            self._notice.show_message(told, "", ("Update them…", self._on_asked))
        elif self._session.state is SetUpState.PAUSED:
            told = "The set-up of another engine has not ended."
            self._notice.show_message(told, "", ("Go on with it…", self._on_asked))
