"""What is free now: when it is read, in which thread, and whose memory the loaded model's is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec
import pytest
from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.worker.device_monitor import EVERY_MS, DeviceMonitor
from engine.checkpoints.memory_estimate import RUNTIME_BYTES
from engine.hardware import nvidia, system_memory
from engine.hardware.device_groups import combined_device
from engine.hardware.system_memory import SystemMemory
from engine.protocol.events import Device, Loading, Ready
from tests.app.timers import let_pass, timer_of
from tests.fakes import nvidia_card, ready

GIB = 2**30
CARD = Device(id="cuda:0", name="RTX 4090", total_bytes=24 * GIB, free_bytes=23 * GIB, uuid="GPU-1")
CPU = Device(id="cpu", name="Xeon", total_bytes=32 * GIB, free_bytes=28 * GIB)


class FakeModel(QObject):
    changed = Signal()
    link_measured = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.ready: Ready | None = None
        self.loading: Loading | None = None
        self.devices: tuple[Device, ...] = (CARD, CPU)
        self.link_bytes_per_s: dict[str, int] = {}
        self.kept_free_bytes = 0

    def stand(self, ready: Ready | None = None, *, loading: bool = False) -> None:
        self.ready = ready
        self.loading = Loading(request_id="", stage="Reading the model", fraction=0.5) if loading else None
        self.changed.emit()


@dataclass
class Machine:
    """What the driver and the system tell; before: called in the thread that asks."""

    gpu: Device = field(default_factory=lambda: nvidia_card("RTX 4090", "GPU-1", 24 * GIB, 23 * GIB))
    more: tuple[Device, ...] = ()
    ram_bytes: int = 28 * GIB
    before: Callable[[], object] = lambda: None
    threads: list[str] = field(default_factory=list)

    def gpus(self) -> tuple[Device, ...]:
        self.before()
        self.threads.append(threading.current_thread().name)
        return (self.gpu, *self.more)

    def leave_free(self, free_bytes: int) -> None:
        self.gpu = msgspec.structs.replace(self.gpu, free_bytes=free_bytes)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(nvidia, "nvidia_gpus", machine.gpus)
    monkeypatch.setattr(system_memory, "memory_now", lambda: SystemMemory(32 * GIB, machine.ram_bytes))
    return machine


@pytest.fixture
def model(qtbot: QtBot) -> FakeModel:
    return FakeModel()


@pytest.fixture
def watch(model: FakeModel, machine: Machine) -> Iterator[DeviceMonitor]:
    watch = DeviceMonitor(model, model)  # type: ignore[arg-type]
    yield watch
    watch.close()


def loaded(memory_bytes: int, device: Device = CARD) -> Ready:
    return msgspec.structs.replace(ready("1"), device=device, memory_bytes=memory_bytes)


def poll(watch: DeviceMonitor, qtbot: QtBot) -> None:
    with qtbot.waitSignal(watch.changed):
        watch.poll()


def test_until_it_has_looked_the_engine_s_word_holds(watch: DeviceMonitor) -> None:
    assert watch.devices == (CARD, CPU)
    assert watch.emptied(CARD) == CARD


def test_a_card_has_the_link_that_was_measured_and_keeps_free_what_a_load_is_to(
    watch: DeviceMonitor, model: FakeModel, qtbot: QtBot
) -> None:
    model.link_bytes_per_s["GPU-1"], model.kept_free_bytes = 12 * GIB, GIB
    with qtbot.waitSignal(watch.changed):
        model.link_measured.emit()
    for card in (watch.now(CARD), watch.emptied(CARD), watch.devices[0]):
        assert (card.link_bytes_per_s, card.kept_free_bytes) == (12 * GIB, GIB)
    assert watch.now(CPU).link_bytes_per_s == 0


def test_what_is_free_now_is_read_in_a_thread_of_its_own(
    watch: DeviceMonitor, machine: Machine, qtbot: QtBot
) -> None:
    machine.leave_free(9 * GIB)
    machine.ram_bytes = 7 * GIB
    poll(watch, qtbot)
    assert [device.free_bytes for device in watch.devices] == [9 * GIB, 7 * GIB]
    assert machine.threads == ["poll the devices"]


def test_a_card_that_does_not_tell_keeps_what_the_engine_knows(
    watch: DeviceMonitor, machine: Machine, qtbot: QtBot
) -> None:
    machine.gpu = msgspec.structs.replace(machine.gpu, total_bytes=0, free_bytes=0)
    poll(watch, qtbot)
    assert watch.devices == (CARD, CPU)


def test_the_loaded_model_s_memory_would_be_free(
    watch: DeviceMonitor, model: FakeModel, machine: Machine, qtbot: QtBot
) -> None:
    machine.leave_free(4 * GIB)
    with qtbot.waitSignal(watch.changed):
        model.stand(loaded(17 * GIB))
    assert watch.now(CARD).free_bytes == 4 * GIB
    assert watch.emptied(CARD).free_bytes == 21 * GIB + RUNTIME_BYTES
    assert watch.emptied(CPU) == CPU
    machine.leave_free(8 * GIB)
    poll(watch, qtbot)
    assert watch.emptied(CARD).free_bytes == CARD.total_bytes  # never more than there is
    machine.leave_free(4 * GIB)
    with qtbot.waitSignal(watch.changed):
        model.stand(msgspec.structs.replace(loaded(17 * GIB), streamed_bytes=9 * GIB))
    assert watch.emptied(CARD).free_bytes == 12 * GIB + RUNTIME_BYTES


SECOND = Device(id="cuda:1", name="RTX 3060", total_bytes=12 * GIB, free_bytes=11 * GIB, uuid="GPU-2")
(BOTH,) = combined_device((CARD, SECOND))


def test_several_cards_have_what_is_free_on_each(
    watch: DeviceMonitor, model: FakeModel, machine: Machine, qtbot: QtBot
) -> None:
    model.devices = (CARD, SECOND, BOTH, CPU)
    machine.more = (nvidia_card("RTX 3060", "GPU-2", 12 * GIB, 10 * GIB),)
    machine.leave_free(20 * GIB)
    poll(watch, qtbot)
    assert [device.free_bytes for device in watch.devices] == [20 * GIB, 10 * GIB, 30 * GIB, 28 * GIB]
    machine.more = (nvidia_card("RTX 3060", "GPU-2", 0, 0),)
    machine.leave_free(5 * GIB)
    poll(watch, qtbot)
    assert watch.now(BOTH) == BOTH


def test_what_a_model_holds_of_several_cards_would_be_free_on_each(
    watch: DeviceMonitor, model: FakeModel, machine: Machine, qtbot: QtBot
) -> None:
    model.devices = (CARD, SECOND, BOTH, CPU)
    machine.more = (nvidia_card("RTX 3060", "GPU-2", 12 * GIB, 2 * GIB),)
    machine.leave_free(4 * GIB)
    with qtbot.waitSignal(watch.changed):
        model.stand(loaded(18 * GIB, BOTH))
    assert watch.emptied(BOTH).free_bytes == 24 * GIB + 2 * RUNTIME_BYTES
    assert watch.emptied(CARD).free_bytes == 16 * GIB + RUNTIME_BYTES
    assert watch.emptied(SECOND).free_bytes == 8 * GIB + RUNTIME_BYTES
    machine.leave_free(3 * GIB)
    with qtbot.waitSignal(watch.changed):
        model.stand(loaded(9 * GIB))
    assert watch.emptied(BOTH).free_bytes == 14 * GIB + RUNTIME_BYTES
    assert watch.emptied(SECOND) == watch.now(SECOND)


def test_nothing_is_read_while_a_model_is_loaded_bit_by_bit(
    watch: DeviceMonitor, model: FakeModel, machine: Machine, qtbot: QtBot
) -> None:
    with qtbot.waitSignal(watch.changed):
        model.stand(loaded(2 * GIB))
    before = watch.emptied(CARD)
    model.stand(loading=True)
    machine.leave_free(1 * GIB)
    watch.poll()
    assert machine.threads == ["poll the devices"]
    assert watch.emptied(CARD) == before
    with qtbot.waitSignal(watch.changed):
        model.stand(loaded(17 * GIB))
    assert watch.now(CARD).free_bytes == 1 * GIB


def test_a_reading_that_a_load_overtook_is_thrown_away(
    watch: DeviceMonitor, model: FakeModel, machine: Machine, qtbot: QtBot
) -> None:
    asked, go = threading.Event(), threading.Event()

    def wait() -> None:
        asked.set()
        go.wait(10)

    machine.before = wait
    watch.poll()
    assert asked.wait(10)
    model.stand(loaded(17 * GIB))
    machine.leave_free(5 * GIB)
    with qtbot.waitSignal(watch.changed):
        go.set()
    assert len(machine.threads) == 2
    assert watch.emptied(CARD).free_bytes == 22 * GIB + RUNTIME_BYTES


def test_small_changes_are_no_news(watch: DeviceMonitor, machine: Machine, qtbot: QtBot) -> None:
    poll(watch, qtbot)
    machine.leave_free(23 * GIB - 2**20)
    with qtbot.assertNotEmitted(watch.changed), qtbot.waitSignal(watch.call.returned):
        watch.poll()
    assert watch.now(CARD).free_bytes == 23 * GIB


def test_it_looks_again_and_again_while_a_widget_is_in_view(
    watch: DeviceMonitor, machine: Machine, qtbot: QtBot
) -> None:
    widget = QWidget()
    qtbot.addWidget(widget)
    watch.while_visible(widget)
    assert machine.threads == []
    with qtbot.waitSignal(watch.changed):
        widget.show()
    machine.leave_free(2 * GIB)
    with qtbot.waitSignal(watch.changed):
        let_pass(watch, EVERY_MS)
    assert timer_of(watch, EVERY_MS).isActive()
    widget.hide()
    assert not timer_of(watch, EVERY_MS).isActive()


def test_without_devices_there_is_nothing_to_look_for(
    watch: DeviceMonitor, model: FakeModel, machine: Machine
) -> None:
    model.devices = ()
    watch.poll()
    assert watch.devices == ()
    watch.close()
    assert machine.threads == []
