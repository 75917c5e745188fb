"""Messages about models: the first run's offer, faults with remedies, arrivals."""

from __future__ import annotations

import os
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

import msgspec
from PySide6.QtCore import QObject, Qt, Signal, SignalInstance

from app.drafting.controller import DraftController
from app.drafting.draft_commands import DraftCommands
from app.drafting.draft_session import DraftState
from app.settings.schema import load_settings
from app.settings.store import SettingsStore
from app.widgets.message_bar import Choice, MessageBar
from app.worker.background import BackgroundCall
from app.worker.device_monitor import DeviceMonitor
from app.worker.model_session import ModelSession
from engine.checkpoints.units import disk_text
from engine.protocol.errors import Fault

if TYPE_CHECKING:
    from app.models.model_entry import ModelEntry
    from app.models.remedies import Remedy
    from app.worker.step_pace import Slowdown


class ModelNotices(QObject):
    """What the message bars say of models: `notice` of what happens, `welcome` of the first run's offer."""

    models_asked = Signal()
    """The writer wants to see the models."""
    device_asked = Signal()
    """The writer wants to choose a device."""

    def __init__(
        self,
        notice: MessageBar,
        welcome: MessageBar,
        model: ModelSession,
        drafts: DraftController,
        commands: DraftCommands,
        devices: DeviceMonitor,
        settings: SettingsStore,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._notice = notice
        self._welcome = welcome
        self._model = model
        self._drafts = drafts
        self._commands = commands
        self._devices = devices
        self._settings = settings
        self._may_offer = False
        self._unsaved = ""
        self._fault: Fault | None = None
        self.offer_call = BackgroundCall("read the offer", self)
        welcome.turned.connect(self._on_welcome_turned)
        model.failed.connect(self._on_failed)
        model.slowed.connect(self._on_slowed)
        model.changed.connect(self._on_model_changed)
        drafts.failed.connect(self._on_failed)
        drafts.changed.connect(self._on_drafts_changed)
        self.offer_call.returned.connect(self._on_offer_read)
        devices.changed.connect(self._on_devices_known, Qt.ConnectionType.SingleShotConnection)

    def _on_failed(self, fault: Fault) -> None:
        from app.models.remedies import NO_MODEL, remedies  # the first paint does not need them

        kind = fault.kind
        if kind == "engine-missing":
            return  # told in app/engine_setup
        self._fault = fault
        devices, ready = self._devices.at_the_last_load, self._model.ready
        if ready:
            ready = msgspec.structs.replace(ready, device=self._devices.emptied(ready.device))
        found = remedies(kind, self._settings.current, devices, ready)
        ways: list[Choice] = [(way.label, partial(self._take, way)) for way in found.ways]
        idle = ""
        if kind == "device-missing":
            ways.append(("Open the settings", partial(self._leave_for, self.device_asked)))
            idle = self._model.idle_card
        elif (kind in NO_MODEL and ways) or kind == "instructions":
            ways.append(self._see_models)
        told, remedy = found.message or fault.message, idle or found.reason or fault.remedy
        self._notice.show_message(told, remedy, *ways[:2])
        self._devices.poll()

    def _on_slowed(self, slowdown: Slowdown) -> None:
        from app.models.remedies import of_slow_steps

        if ready := self._model.ready:
            found = of_slow_steps(slowdown, ready)
            ways = [(way.label, self._load_again) for way in found.ways]
            self._notice.show_message(found.message, found.reason, *ways)

    def _load_again(self) -> None:
        self._notice.hide()
        self._model.reload()

    def _on_devices_known(self) -> None:
        """Cards that the engine was not shown may be a way out of what was told without them."""
        if self._fault:
            self._on_failed(self._fault)

    def _take(self, way: Remedy) -> None:
        self._notice.hide()
        before = load_settings(self._settings.current)
        self._settings.change(**way.changes)
        if load_settings(self._settings.current) != before:
            return  # the window loads it
        if self._model.ready is None:
            self._model.reload()
        elif not way.changes:
            self._commands.draft()

    def _leave_for(self, asked: SignalInstance) -> None:
        self._notice.hide()
        asked.emit()

    @property
    def _see_models(self) -> Choice:
        return "See models", partial(self._leave_for, self.models_asked)

    def _on_drafts_changed(self) -> None:
        """A draft that is begun anew takes the message about the last one away."""
        if self._drafts.state is DraftState.PREPARING:
            self._forget_failure()
        if self._model.stalled and self._drafts.current is None:
            self._notice.show_message(
                "The engine has not moved for a while.", "", ("Restart it", self._drafts.restart_engine)
            )

    def _on_model_changed(self) -> None:
        if (ready := self._model.ready) is None:
            return
        self._forget_failure()
        if ready.unsaved_bytes and ready.request_id != self._unsaved:
            self._unsaved = ready.request_id  # once for each load
            size = disk_text(ready.unsaved_bytes)
            copy = f"A smaller copy of the model ({size}) could not be kept on this disk."
            self._notice.show_message(copy, "Loading takes longer without it: make room on the disk.")

    def _forget_failure(self) -> None:
        if self._fault:
            self._fault = None
            self._notice.hide()

    def start(self, *, may_offer: bool) -> None:
        """Once a model is loaded: tell of an idle card, or offer the real model to a new writer."""
        self._may_offer = may_offer
        self._devices.changed.connect(self._on_first_look)

    def _on_first_look(self) -> None:
        if self._model.ready is None:
            return
        self._devices.changed.disconnect(self._on_first_look)
        if idle := self._model.idle_card:
            self._notice.show_message(idle, "")
        elif self._may_offer and not self._settings.current.offered:
            # Its import is slow: no window waits for it there.
            self.offer_call.start(partial(import_module, "app.models.first_run_offer"))

    def _on_offer_read(self) -> None:
        from app.models.first_run_offer import first_run_offer

        if self._settings.current.offered:  # the writer has seen the models meanwhile
            return
        if words := first_run_offer(self._settings.current, self._model.devices):
            ways = ("See models", self.models_asked.emit), ("Not now", self.hide_offer)
            self._welcome.show_message(words, "", *ways)

    def _on_welcome_turned(self) -> None:
        """Another message may have hidden it."""
        if self._welcome.isVisible():
            self._settings.change(offered=True)

    def hide_offer(self) -> None:
        """And make none any more."""
        self._welcome.hide()
        self._settings.change(offered=True)

    def close(self) -> None:
        self.offer_call.join()

    def show_arrived(self, entry: ModelEntry) -> None:
        here = "here, whole and checked" if entry.local and entry.local.checked else "here"
        self._notice.show_message(f"{entry.label} is {here}.", "", ("Use it", partial(self._use, entry)))

    def show_stopped(self, entry: ModelEntry) -> None:
        """entry.download has a fault."""
        if entry.download and (fault := entry.download.fault):
            told = f"{entry.label} is not here yet. {fault.message}"
            self._notice.show_message(told, fault.remedy, self._see_models)

    def _use(self, entry: ModelEntry) -> None:
        if not os.path.isdir(entry.folder):  # removed meanwhile
            told = f"{entry.label} is not here any more."
            self._notice.show_message(told, "", self._see_models)
            return
        self._notice.hide()
        self._settings.change(model=entry.model, precision="auto")
