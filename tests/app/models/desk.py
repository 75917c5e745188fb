"""What the tests of the models' page share: a page on a desk of its own, cards, and models to install."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from PySide6.QtCore import QCoreApplication, QObject, Signal

from app.models.download_job import DownloadJob
from app.models.download_queue import DownloadQueue
from app.models.ui.model_row import ModelRow
from app.models.ui.models_page import ModelsPage
from app.settings.store import SettingsStore
from app.worker.device_monitor import DeviceMonitor
from engine.checkpoints.catalogue import BUNDLED, GEMMA_26B, STARTER
from engine.protocol.errors import Fault
from engine.protocol.events import Device, Loading, Ready
from tests.fakes import ready

GIB = 2**30
CPU = Device(id="cpu", name="Intel(R) Xeon(R) CPU @ 2.20GHz", total_bytes=32 * GIB, free_bytes=28 * GIB)
RTX_4090 = Device(
    id="cuda:0",
    name="NVIDIA GeForce RTX 4090",
    total_bytes=24 * GIB,
    free_bytes=int(23.5 * GIB),
    uuid="GPU-4090",
)
RTX_5090 = Device(
    id="cuda:0",
    name="NVIDIA GeForce RTX 5090",
    total_bytes=32 * GIB,
    free_bytes=int(31.5 * GIB),
    uuid="GPU-50",
    fp8=True,
)
RTX_3060 = Device(
    id="cuda:0", name="NVIDIA GeForce RTX 3060", total_bytes=12 * GIB, free_bytes=11 * GIB, uuid="GPU-3060"
)


class FakeModel(QObject):
    changed = Signal()
    link_measured = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.ready: Ready | None = None
        self.loading: Loading | None = None
        self.fault: Fault | None = None
        self.devices: tuple[Device, ...] = (RTX_4090, CPU)
        self.link_bytes_per_s: dict[str, int] = {}
        self.kept_free_bytes = 0
        self.asked: list[str] = []

    def measure_link(self, card: Device) -> None:
        self.asked.append(f"link of {card.uuid}")

    def reload(self) -> None:
        self.asked.append("reload")

    def unload(self) -> None:
        self.asked.append("unload")

    def stand(
        self,
        ready: Ready | None = None,
        loading: Loading | None = None,
        fault: str = "",
        kind: str = "bug",
    ) -> None:
        self.ready, self.loading = ready, loading
        self.fault = Fault(kind, fault) if fault else None
        self.changed.emit()


@dataclass
class Desk:
    page: ModelsPage
    store: SettingsStore
    model: FakeModel
    devices: DeviceMonitor
    downloads: DownloadQueue
    asked: list[str] = field(default_factory=list)

    @property
    def starter(self) -> ModelRow:
        return self.page.models.rows[STARTER.folder]

    @property
    def gemma(self) -> ModelRow:
        return self.page.models.rows[GEMMA_26B.folder]

    def begin(self) -> DownloadJob:
        self.gemma.download.click()
        return self.downloads.items[0]


def finish_scan(page: ModelsPage) -> None:
    while (call := page.models.scanner.call).busy:
        call.join(60)
        QCoreApplication.sendPostedEvents(call)


def scan(page: ModelsPage) -> None:
    page.models.scan()
    finish_scan(page)


def add(page: ModelsPage, folder: Path) -> None:
    page.acts.add_folder(str(folder))
    finish_scan(page)


def acts(row: ModelRow) -> list[str]:
    """What can be pressed."""
    buttons = [row.use, row.download, row.resume, row.pause, row.free, row.cancel, row.remove, row.forget]
    return [button.text() for button in buttons if not button.isHidden()]


def install(folder: Path) -> Path:
    """A whole model, if a small one."""
    return Path(shutil.copytree(BUNDLED / "starter", folder))


def choose(row: ModelRow, precision: str) -> None:
    row.precision.setCurrentIndex(row.precision.findData(precision))
    row.precision.activated.emit(row.precision.currentIndex())
    row.precision.settle()


def on_card(device: Device, precision: str) -> Ready:
    return msgspec.structs.replace(ready(""), device=device, precision=precision)
