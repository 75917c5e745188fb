"""Poll the free memory of this machine's devices, without torch and outside the GUI thread."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import msgspec
from PySide6.QtCore import QEvent, QObject, Signal
from PySide6.QtWidgets import QWidget

from app.widgets.timers import timer
from app.worker.background import BackgroundCall
from app.worker.model_session import ModelSession
from engine.checkpoints.memory_estimate import RUNTIME_BYTES
from engine.hardware import nvidia, system_memory
from engine.hardware.device_groups import TOGETHER
from engine.hardware.selection import device_setting, with_hidden
from engine.protocol.events import Device, Ready

EVERY_MS = 3000
CALM_BYTES = 2**27
"""Less than this is no news."""


@dataclass(frozen=True)
class MemorySnapshot:
    """What the driver and the system told."""

    ready: Ready | None
    """What was loaded then."""
    gpus: tuple[Device, ...]
    free_bytes: dict[str, int]
    """By the choice of a device."""

    def is_like(self, other: MemorySnapshot) -> bool:
        free, before = self.free_bytes, other.free_bytes
        return (
            self.ready is other.ready
            and free.keys() == before.keys()
            and all(abs(free[device] - before[device]) < CALM_BYTES for device in free)
        )


class DeviceMonitor(QObject):
    """Polls after each load, and every EVERY_MS while a widget that it was given is in view."""

    changed = Signal()
    """A poll or a measurement brought something new. What the engine told holds until then, and where nobody
    tells more.
    """

    def __init__(self, model: ModelSession, parent: QObject) -> None:
        super().__init__(parent)
        self._model = model
        self._reading: MemorySnapshot | None = None
        self.call = BackgroundCall("poll the devices", self)
        self._loaded: Ready | None = None
        self._timer = timer(self, self.poll, EVERY_MS)
        self.call.returned.connect(self._on_returned)
        model.changed.connect(self._on_model_changed)
        model.link_measured.connect(self.changed)

    @property
    def devices(self) -> tuple[Device, ...]:
        """The engine's, and the cards that it was not shown."""
        return with_hidden(tuple(map(self.now, self._model.devices)), self._gpus)

    @property
    def at_the_last_load(self) -> tuple[Device, ...]:
        """The same, with what was free when the engine looked."""
        return with_hidden(self._model.devices, self._gpus)

    @property
    def _gpus(self) -> tuple[Device, ...]:
        return self._reading.gpus if self._reading else ()

    def now(self, device: Device) -> Device:
        return self._with_free(device, 0)

    def emptied(self, device: Device) -> Device:
        """As it would be without the model that is loaded."""
        loaded = self._reading.ready if self._reading else None
        shared = set(_parts(loaded.device)) & set(_parts(device)) if loaded else ()
        if loaded is None or not shared:
            return self.now(device)
        held = loaded.on_device_bytes
        if len(shared) < len(_parts(loaded.device)):  # the larger a card, the more lies on it
            held = held * device.total_bytes // max(1, loaded.device.total_bytes)
        return self._with_free(device, held + (len(shared) * RUNTIME_BYTES if device.uuid else 0))

    def _with_free(self, device: Device, more_bytes: int) -> Device:
        link = self._model.link_bytes_per_s.get(device_setting(device), 0)
        device = msgspec.structs.replace(
            device, link_bytes_per_s=link, kept_free_bytes=self._model.kept_free_bytes
        )
        told = self._reading.free_bytes if self._reading else {}
        free = [told.get(part, 0) for part in _parts(device)]
        if not all(free):
            return device
        return msgspec.structs.replace(device, free_bytes=min(device.total_bytes, sum(free) + more_bytes))

    def while_visible(self, widget: QWidget) -> None:
        widget.installEventFilter(self)
        if widget.isVisible():
            self._begin()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Show:
            self._begin()
        elif event.type() == QEvent.Type.Hide:
            self._timer.stop()
        return super().eventFilter(watched, event)

    def _begin(self) -> None:
        self._timer.start()
        self.poll()

    def _on_model_changed(self) -> None:
        if self._model.ready is self._loaded:
            return
        self._loaded = self._model.ready
        if self._loaded:
            self.poll()
        elif self._timer.isActive():
            self._timer.start()  # it takes a moment until the memory is free

    def poll(self) -> None:
        """Unless a model is being loaded, which takes memory bit by bit, or nobody knows what there is."""
        if not self.call.busy and self._model.devices and self._model.loading is None:
            self.call.start(partial(_poll, self._model.ready))

    def close(self) -> None:
        self._timer.stop()
        self.call.join()

    def _on_returned(self, reading: MemorySnapshot) -> None:
        if reading.ready is not self._model.ready:  # nobody knows what of it is in there
            if self._model.ready:
                self.poll()
        elif self._reading is None or not reading.is_like(self._reading):
            self._reading = reading
            self.changed.emit()


def _poll(ready: Ready | None) -> MemorySnapshot:
    gpus = nvidia.nvidia_gpus()
    free = {gpu.uuid: gpu.free_bytes for gpu in gpus if gpu.total_bytes}
    free["cpu"] = system_memory.memory_now().available_bytes
    return MemorySnapshot(ready, gpus, free)


def _parts(device: Device) -> list[str]:
    """How each card in it is chosen."""
    return device_setting(device).split(TOGETHER)
