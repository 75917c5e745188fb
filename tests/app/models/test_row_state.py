"""What a row of the list of models shows, as values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication

from app.models.download_job import DownloadJob, DownloadState
from app.models.library import LocalModel
from app.models.model_entry import ModelEntry
from app.models.row_state import LoadConditions, ModelUse, RowState, row_state
from app.models.transfer.installation import InstallRecord
from app.models.transfer.messages import HubOrder, ImportOrder
from engine.checkpoints.catalogue import GEMMA_26B, STARTER
from engine.protocol.errors import Fault
from engine.protocol.events import Device, Loading
from tests.app.models.desk import CPU, RTX_3060, RTX_4090, on_card

ROOMY = LoadConditions((RTX_4090, CPU), 2048, 1, False, 500_000_000_000)
HERE = LocalModel(
    model=STARTER.name, label=STARTER.label, folder=STARTER.folder, problem="", size_bytes=10**8
)
TO_BE_HAD = ModelEntry(GEMMA_26B)
INSTALLED = ModelEntry(STARTER, HERE)
UNUSED = ModelUse("auto", None, None, None)


def acts(state: RowState) -> list[str]:
    """What can be pressed."""
    return [text for text in state.acts.values() if text]


def one_on_its_way(state: DownloadState, *, probe: bool = False, fault: Fault | None = None) -> ModelEntry:
    order = HubOrder(folder=str(GEMMA_26B.folder), repo=GEMMA_26B.source, probe=probe)
    job = DownloadJob(order, None, QObject())
    job.state, job.fault, job.done_bytes, job.total_bytes = state, fault, 10**10, 4 * 10**10
    return ModelEntry(GEMMA_26B, None, job)


@pytest.mark.parametrize(
    ("entry", "use", "offered"),
    [
        (TO_BE_HAD, None, ["Download 51.7 GB"]),
        (TO_BE_HAD, UNUSED, ["Download 51.7 GB"]),
        (INSTALLED, None, ["Use"]),
        (INSTALLED, UNUSED, ["Load it now"]),
        (INSTALLED, replace(UNUSED, ready=on_card(RTX_4090, "bf16")), ["Free the memory now"]),
        (
            INSTALLED,
            replace(UNUSED, loading=Loading(request_id="", stage="", fraction=0.5)),
            ["Stop loading"],
        ),
        (
            ModelEntry(STARTER, replace(HERE, removable=True), None, True),
            None,
            ["Use", "Remove…", "Take off the list"],
        ),
        (ModelEntry(STARTER, replace(HERE, removable=True), None, True), UNUSED, ["Load it now"]),
        (ModelEntry(GEMMA_26B, replace(HERE, problem="It is cut."), None), None, ["Download 51.7 GB"]),
    ],
)
def test_what_can_be_done_with_a_model(entry: ModelEntry, use: ModelUse | None, offered: list[str]) -> None:
    assert acts(row_state(entry, use, ROOMY, "auto")) == offered


@pytest.mark.parametrize(
    ("state", "probe", "offered", "moves"),
    [
        (DownloadState.QUEUED, False, ["Pause", "Cancel"], True),
        (DownloadState.CHECKING, True, ["Cancel"], True),
        (DownloadState.PROBED, True, ["Download 51.7 GB", "Remove"], False),
        (DownloadState.DOWNLOADING, False, ["Pause", "Cancel"], True),
        (DownloadState.PAUSED, False, ["Resume", "Cancel"], False),
        (DownloadState.FAILED, False, ["Try again", "Cancel"], False),
        (DownloadState.FAILED, True, ["Try again", "Remove"], False),
    ],
)
def test_what_can_be_done_with_a_download(
    qapp: QApplication, state: DownloadState, probe: bool, offered: list[str], moves: bool
) -> None:
    entry = one_on_its_way(state, probe=probe)
    entry.download.total_bytes = GEMMA_26B.download_bytes  # type: ignore[union-attr]
    shown = row_state(entry, None, ROOMY, "auto")
    assert (acts(shown), shown.moves) == (offered, moves)


@pytest.mark.parametrize(("kind", "asks"), [("access", True), ("network", False)])
def test_a_token_is_asked_for_where_access_was_refused(qapp: QApplication, kind: str, asks: bool) -> None:
    entry = one_on_its_way(DownloadState.FAILED, fault=Fault(kind, "It said no.", "Ask again."))
    shown = row_state(entry, None, ROOMY, "auto")
    assert (shown.asks_token, shown.fault, shown.share) == (asks, "It said no. Ask again.", 0.25)


@pytest.mark.parametrize(
    ("device", "choice", "use", "download"),
    [
        (RTX_4090, "auto", "Use", "Download 51.7 GB"),
        (RTX_4090, "bf16", "Try anyway", "Download anyway"),
        (RTX_3060, "4-bit", "Try anyway", "Download anyway"),
    ],
)
def test_what_does_not_fit_is_offered_all_the_same(
    device: Device, choice: str, use: str, download: str
) -> None:
    conditions = replace(ROOMY, devices=(device, CPU))
    there = replace(HERE, folder=GEMMA_26B.folder, model=GEMMA_26B.name)
    assert row_state(ModelEntry(GEMMA_26B, there), None, conditions, choice).acts["use"] == use
    assert row_state(TO_BE_HAD, None, conditions, choice).acts["download"] == download


def test_a_plan_that_streams_tells_how_fast_once_that_is_known() -> None:
    card = msgspec.structs.replace(RTX_3060, main_free_bytes=24 << 30, pcie_generation=4, pcie_lanes=8)

    def shown(link_bytes_per_s: int, choice: str) -> RowState:
        measured = msgspec.structs.replace(card, link_bytes_per_s=link_bytes_per_s)
        return row_state(TO_BE_HAD, None, replace(ROOMY, devices=(measured, CPU)), choice)

    assert shown(0, "4-bit").unmeasured == card
    assert shown(0, "4-bit").verdict.splitlines()[1].startswith("PCIe 4 × 8 · ")
    fast = shown(12 << 30, "4-bit")
    assert fast.unmeasured is None
    assert fast.verdict.splitlines()[1].startswith("PCIe 4 × 8, 12.0\u00a0GB/s · ")
    assert shown(0, "bf16").unmeasured is None


def test_the_settings_precision_is_that_of_the_model_they_name() -> None:
    shown = row_state(INSTALLED, replace(UNUSED, precision="fp32"), ROOMY, "bf16")
    assert shown.chosen == "fp32"
    assert list(shown.precisions) == ["auto", "bf16", "fp32"]
    assert row_state(INSTALLED, None, ROOMY, "bf16").chosen == "bf16"


@pytest.mark.parametrize(
    ("free_disk_bytes", "choice", "warns", "tells_copy"),
    [
        (500 * 10**9, "4-bit", False, True),
        (500 * 10**9, "bf16", False, False),
        (31 * 10**9, "4-bit", True, False),
    ],
)
def test_too_little_room_is_a_warning(
    free_disk_bytes: int, choice: str, warns: bool, tells_copy: bool
) -> None:
    shown = row_state(TO_BE_HAD, None, replace(ROOMY, free_disk_bytes=free_disk_bytes), choice)
    assert shown.warns is warns
    assert ("smaller copy" in shown.progress) is tells_copy


def test_a_fault_of_a_load_is_told_where_no_scan_knows_better() -> None:
    def told(problem: str, kind: str, explained: Fault | None = None) -> str:
        fault = Fault(kind, "It would not load.")
        entry = ModelEntry(STARTER, replace(HERE, problem=problem))
        use = replace(UNUSED, fault=fault)
        return row_state(entry, use, ROOMY, "auto", fault if explained else None).fault

    assert told("", "out-of-memory") == "It would not load."
    assert told("It is cut.", "weights-broken") == "It is cut."
    assert told("", "weights-missing") == ""  # what was missed is there
    assert told("", "weights-broken", Fault("", "")) == ""


def test_where_nobody_has_looked_the_licence_is_not_called_unstated(
    qapp: QApplication, tmp_path: Path
) -> None:
    looked = InstallRecord(repo="owner/model", total_bytes=1, probe=True)
    order = HubOrder(folder=str(tmp_path / "owner--model"), repo="owner/model", probe=True)
    for record, said in ((None, ""), (looked, "Licence: not stated here.\n")):
        entry = ModelEntry(download=DownloadJob(order, record, QObject()))
        assert row_state(entry, None, ROOMY, "auto").source == f"{said}https://huggingface.co/owner/model"
    imported = ImportOrder(folder=str(tmp_path / "mine"), source="/stick/mine")
    row = row_state(ModelEntry(download=DownloadJob(imported, None, QObject())), None, ROOMY, "auto")
    assert (row.size, row.source, row.plans) == ("Size not known yet", str(tmp_path / "mine"), False)


def test_progress_of_a_load() -> None:
    loading = Loading(request_id="", stage="Reading weights", fraction=0.5)
    shown = row_state(INSTALLED, replace(UNUSED, loading=loading), ROOMY, "auto")
    assert (shown.moves, shown.share) == (True, 0.5)
    ready = msgspec.structs.replace(on_card(RTX_4090, "fp8"))
    shown = row_state(INSTALLED, replace(UNUSED, ready=ready), ROOMY, "auto")
    assert (shown.moves, shown.progress) == (False, "In use on RTX 4090 · 8-bit")
