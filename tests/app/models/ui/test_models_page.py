"""The page of models: what each row says and offers in each state, and that only a press goes out."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtGui import QAccessible, QTextDocumentFragment
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QDialog,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPlainTextEdit,
    QPushButton,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.models import library
from app.models.download_job import DownloadJob, DownloadState
from app.models.download_queue import DownloadQueue
from app.models.model_entry import ModelEntry
from app.models.progress_text import unbroken
from app.models.transfer import installation
from app.models.transfer.messages import Waiting
from app.models.ui.model_row import ModelRow
from app.models.ui.models_page import ModelsPage
from app.settings.store import SettingsStore
from app.worker.device_monitor import DeviceMonitor, MemorySnapshot
from engine.checkpoints import memory_estimate, units
from engine.checkpoints.catalogue import GEMMA_26B, STARTER, models_folder, packed_models_folder
from engine.checkpoints.files import packed_copy_folder
from engine.checkpoints.memory_estimate import MemoryEstimate
from engine.checkpoints.model_shape import read_shape
from engine.hardware.device_groups import combined_device
from engine.protocol.errors import Fault
from engine.protocol.events import Device, Loading, Ready
from tests.app.models.desk import (
    CPU,
    GIB,
    RTX_3060,
    RTX_4090,
    RTX_5090,
    Desk,
    FakeModel,
    acts,
    add,
    choose,
    finish_scan,
    install,
    on_card,
    scan,
)


@pytest.fixture
def desk(qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(DownloadJob, "start", lambda item: item.enter(DownloadState.CHECKING))
    monkeypatch.setattr(DeviceMonitor, "poll", lambda _watch: None)
    roomy = shutil.disk_usage("/")._replace(free=500_000_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: roomy)
    store, model, downloads = SettingsStore(tmp_path / "settings.json"), FakeModel(), DownloadQueue()
    devices = DeviceMonitor(model, model)  # type: ignore[arg-type]
    page = ModelsPage(store, model, devices, downloads, 300)  # type: ignore[arg-type]
    desk = Desk(page, store, model, devices, downloads)
    asked = downloads.download

    def download(repo: str, token: str = "", *, probe: bool = False) -> DownloadJob:
        desk.asked.append(f"probe: {repo}" if probe else repo)
        return asked(repo, token, probe=probe)

    monkeypatch.setattr(downloads, "download", download)
    qtbot.addWidget(page)
    page.resize(300, 900)
    page.show()
    finish_scan(page)
    yield desk
    downloads.close()


def threads_named(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


# ------------------------------------------------------------------ states


def test_showing_the_page_asks_for_nothing(desk: Desk) -> None:
    assert desk.asked == []
    assert desk.downloads.items == []
    assert list(desk.page.models.rows) == [STARTER.folder, GEMMA_26B.folder]


def under(folder: Path, function: Any) -> Any:
    """The function, that fails for what lies in the folder if the window's thread calls it."""

    def checked(path: str | Path, *rest: Any, **more: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            assert not Path(path).is_relative_to(folder)
        return function(path, *rest, **more)

    return checked


def test_the_window_s_thread_does_not_touch_a_folder_that_was_added(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    folder = install(tmp_path / "stick" / "mine")
    for owner, name in ((Path, "stat"), (Path, "open"), (Path, "iterdir"), (os, "lstat")):
        monkeypatch.setattr(owner, name, under(folder.parent, getattr(owner, name)))
    monkeypatch.setattr(os.path, "realpath", under(folder.parent, os.path.realpath))
    store = SettingsStore(tmp_path / "other.json")
    store.change(model_folders=(str(folder),), model=f"{folder}/")
    page = ModelsPage(store, desk.model, desk.devices, desk.downloads, 300)  # type: ignore[arg-type]
    qtbot.addWidget(page)
    page.show()
    finish_scan(page)
    item = desk.begin()
    item.enter(DownloadState.DOWNLOADING)
    item.pause()
    desk.model.stand(on_card(RTX_4090, "bf16"))
    page.hide()
    page.show()
    finish_scan(page)
    assert page.models.rows[folder].state.text().startswith("In use on ")
    assert page.models.rows[folder].verdict.text().startswith("Full precision (16-bit) fits")


def test_until_it_is_known_what_is_here_the_page_shows_what_it_knew(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    answers = threading.Event()
    read = library.local_models

    def slow(added: Iterable[Path]) -> list[library.LocalModel]:
        assert answers.wait(60)
        return read(added)

    monkeypatch.setattr("app.models.library_scan.local_models", slow)
    install(GEMMA_26B.folder)
    desk.page.models.scan()
    first = ModelsPage(desk.store, desk.model, desk.devices, desk.downloads, 300)  # type: ignore[arg-type]
    qtbot.addWidget(first)
    first.show()
    assert first.models.scanning.isVisible()
    assert first.models.rows == {}
    assert not desk.page.models.scanning.isVisible()
    folder = install(tmp_path / "mine")
    desk.page.acts.add_folder(str(folder))
    coming = desk.downloads.download("owner/model")
    coming.pause()
    for page in (desk.page, first):
        assert acts(page.models.rows[coming.folder]) == ["Resume", "Cancel"]
    assert acts(desk.gemma) == ["Download 51.7 GB"]
    answers.set()
    for page in (desk.page, first):
        finish_scan(page)
        assert not page.models.scanning.isVisible()
        assert list(page.models.rows) == [STARTER.folder, GEMMA_26B.folder, folder, coming.folder]
        assert [page.models.rows_layout.indexOf(row) for row in page.models.rows.values()] == [0, 1, 2, 3]
        assert acts(page.models.rows[GEMMA_26B.folder]) == ["Use", "Remove…"]


def test_rows_stand_in_the_order_in_which_keys_reach_them(desk: Desk) -> None:
    first, second = (desk.downloads.download(f"owner/{name}") for name in ("first", "second"))
    install(second.folder)
    second.enter(DownloadState.DONE)
    second.ended.emit()
    finish_scan(desk.page)
    assert list(desk.page.models.rows)[2:] == [second.folder, first.folder]
    assert [desk.page.models.rows_layout.indexOf(row) for row in desk.page.models.rows.values()] == [
        0,
        1,
        2,
        3,
    ]


def test_a_look_ends_with_the_window(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    may_end = threading.Event()
    monkeypatch.setattr("app.models.library_scan.local_models", lambda _added: [] * may_end.wait(10))
    desk.page.models.scan()
    assert threads_named("scan for models")
    threading.Timer(0.05, may_end.set).start()  # while closing waits for it
    desk.downloads.close()
    assert not threads_named("scan for models")


def test_a_model_that_can_be_had(desk: Desk) -> None:
    row = desk.gemma
    assert row.size_label.text() == "51.7 GB"
    assert row.licence.text() == "Apache-2.0 licence"
    page = "https://huggingface.co/google/diffusiongemma-26B-A4B-it"
    assert row.source.text() == f'<a href="{page}">{page}</a>'
    assert row.source.openExternalLinks()
    packed = "A smaller copy, which loads faster, takes {}\u00a0GB more"
    assert row.state.text().splitlines()[1:] == [packed.format(16.6)]
    choose(row, "4-bit-tight")
    assert row.state.text().splitlines()[1:] == [packed.format(14.9)]
    choose(row, "bf16")
    assert row.state.text().endswith("free on this disk")
    choose(row, "auto")
    assert acts(row) == ["Download 51.7 GB"]


def two_cards(first: Device) -> tuple[Device, ...]:
    """All that an engine lists beside an RTX 3060."""
    second = msgspec.structs.replace(RTX_3060, id="cuda:1", uuid="GPU-3061")
    return (first, second, *combined_device((first, second)), CPU)


def show_cards(desk: Desk, devices: tuple[Device, ...], ready: Ready | None = None) -> None:
    desk.model.devices = devices
    desk.model.stand(ready)


def test_cards_are_taken_together_where_one_is_too_small(desk: Desk) -> None:
    show_cards(desk, two_cards(RTX_3060))
    for word in ("", " (with the starter model on the first)"):
        assert desk.gemma.verdict.text().endswith(" to spare on your 2 × RTX 3060."), word
        assert desk.gemma.verdict.text().startswith("4-bit fits with ")
        assert "your" not in desk.starter.verdict.text()
        show_cards(desk, desk.model.devices, on_card(RTX_3060, "bf16"))
    choose(desk.gemma, "bf16")
    assert "more than your RTX 3060 has free" in desk.gemma.verdict.text()


def test_the_precision_decides_how_many_cards_are_taken(desk: Desk) -> None:
    show_cards(desk, two_cards(msgspec.structs.replace(RTX_4090, total_bytes=48 * GIB, free_bytes=47 * GIB)))
    assert desk.gemma.verdict.text().startswith("4-bit fits with ")
    assert desk.gemma.verdict.text().endswith(" to spare.")
    choose(desk.gemma, "bf16")
    assert desk.gemma.verdict.text().endswith(" to spare on your RTX 4090 + RTX 3060.")


def test_cards_together_are_judged_as_what_they_are(desk: Desk) -> None:
    devices = two_cards(RTX_4090)
    show_cards(desk, devices)
    desk.store.change(device="GPU-4090+GPU-3061")
    choose(desk.gemma, "bf16")
    assert "more than your RTX 4090 + RTX 3060 have free" in desk.gemma.verdict.text()
    needed = MemoryEstimate(read_shape(GEMMA_26B.describes), "bf16", 2048).needed_bytes(2)
    lack = units.memory_text(needed - memory_estimate.usable_bytes(devices[2]))
    assert desk.gemma.verdict.text().startswith(unbroken(f"Needs {lack} more"))


def test_a_press_on_download_asks_once(desk: Desk) -> None:
    item = desk.begin()
    assert desk.asked == [GEMMA_26B.source]
    assert item.state is DownloadState.CHECKING
    assert acts(desk.gemma) == ["Pause", "Cancel"]


def test_while_it_downloads(desk: Desk) -> None:
    item = desk.begin()
    item.enter(DownloadState.DOWNLOADING)
    item.done_bytes, item.total_bytes = 18_400_000_000, 51_700_000_000
    item.rate.bytes_per_s = 42.1e6
    item.progressed.emit()
    assert desk.gemma.state.text() == "18.4 of 51.7\u00a0GB · 42\u00a0MB/s\nAbout 13 minutes left"
    assert round(desk.gemma.line.share, 2) == 0.36
    assert desk.gemma.line.isVisible()
    item.enter(DownloadState.VERIFYING)
    assert desk.gemma.state.text() == "Checking what has arrived\n18.4 of 51.7\u00a0GB"
    item.enter(DownloadState.DOWNLOADING)
    for seconds, again in ((1800.0, "in 30 minutes"), (8.0, "in 8 seconds"), (1.2, "in 1 second")):
        item.on_report(Waiting(message="The connection is lost.", seconds=seconds))
        assert (
            desk.gemma.state.text() == f"The connection is lost · trying again {again}\n18.4 of 51.7\u00a0GB"
        )
    assert item._second.isActive()
    item._on_second()
    assert desk.gemma.state.text().startswith("The connection is lost · trying again now")
    item.pause()
    assert not item._second.isActive()


def test_paused_and_on(desk: Desk) -> None:
    desk.begin()
    desk.gemma.pause.click()
    assert desk.gemma.state.text() == "Paused"
    assert acts(desk.gemma) == ["Resume", "Cancel"]
    desk.gemma.resume.click()
    assert acts(desk.gemma) == ["Pause", "Cancel"]
    assert desk.asked == [GEMMA_26B.source]


def test_cancelled(desk: Desk) -> None:
    desk.begin()
    desk.gemma.cancel.click()
    assert desk.downloads.items == []
    assert acts(desk.gemma) == ["Download 51.7 GB"]


def test_failed_is_told_with_its_remedy(desk: Desk) -> None:
    item = desk.begin()
    item.fail(Fault("network", "The Hub cannot be reached.", "Check the connection."))
    assert desk.gemma.fault.text() == "The Hub cannot be reached. Check the connection."
    assert desk.gemma.state.text() == "Stopped"
    assert acts(desk.gemma) == ["Try again", "Cancel"]
    assert desk.gemma.token.isHidden()
    desk.gemma.resume.click()
    assert item.state is DownloadState.CHECKING
    assert desk.gemma.fault.isHidden()


def test_addresses_in_a_fault_can_be_opened(desk: Desk) -> None:
    item = desk.begin()
    page = "https://huggingface.co/google/a_model_with_a_long_name"
    item.fail(Fault("access", "<Closed>.", f"Open {page}, then ({page}/tokens)."))
    told = desk.gemma.fault.text()
    assert f'<a href="{page}">' in told
    assert f'<a href="{page}/tokens">' in told
    assert "&lt;Closed&gt;" in told
    assert desk.gemma.fault.openExternalLinks()
    assert desk.gemma.fault.focusPolicy() & Qt.FocusPolicy.TabFocus
    item.fail(Fault("network", "<Cut>."))
    assert desk.gemma.fault.text() == "<Cut>."
    assert not desk.gemma.fault.focusPolicy() & Qt.FocusPolicy.TabFocus


def test_a_token_is_asked_for_only_where_the_repository_does(desk: Desk) -> None:
    item = desk.begin()
    assert desk.gemma.token.isHidden()
    item.fail(Fault("access", "Its owner gives it out to members only."))
    assert desk.gemma.token.isVisible()
    desk.gemma.token.setText(" hf_secret ")
    QTest.keyClick(desk.gemma.token, Qt.Key.Key_Return)
    assert getattr(item._order, "token") == "hf_secret"  # noqa: B009 - an import's order has none
    assert item.state is DownloadState.CHECKING
    assert desk.gemma.token.isHidden()
    assert desk.gemma.token.text() == ""


def test_in_use_loading_unloaded_and_failed(desk: Desk) -> None:
    row = desk.starter
    desk.model.stand(on_card(RTX_4090, "bf16"))
    assert row.state.text() == "In use on RTX 4090 · Full precision (16-bit)"
    assert acts(row) == ["Free the memory now"]
    row.free.click()
    assert desk.model.asked == ["unload"]
    desk.model.stand(loading=Loading(request_id="", stage="Reading the model", fraction=0.6))
    assert acts(row) == ["Stop loading"]
    row.free.click()
    assert desk.model.asked == ["unload", "unload"]
    assert row.state.text() == "Reading the model · 60%"
    assert row.line.share == 0.6
    desk.model.stand()
    assert "the next draft loads it" in row.state.text()
    assert acts(row) == ["Load it now"]
    row.use.click()
    assert desk.model.asked == ["unload", "unload", "reload"]
    desk.model.stand(fault="It broke.")
    assert row.fault.text() == "It broke."
    assert row.state.text() == "Not loaded"
    assert acts(row) == ["Load it now"]


def test_ready_is_used_with_the_precision_of_its_row(desk: Desk) -> None:
    install(GEMMA_26B.folder)
    scan(desk.page)
    choose(desk.gemma, "4-bit-tight")
    assert desk.store.current.precision == "auto"
    assert acts(desk.gemma) == ["Use", "Remove…"]
    assert desk.gemma.state.text() == "On this computer"
    desk.gemma.use.click()
    assert (desk.store.current.model, desk.store.current.precision) == (GEMMA_26B.name, "4-bit-tight")
    assert desk.model.asked == []  # the window reloads when the settings change
    assert acts(desk.starter) == ["Use"]


def test_keys_on_the_closed_list_reload_nothing_until_they_rest(desk: Desk, qtbot: QtBot) -> None:
    install(GEMMA_26B.folder)
    desk.store.change(model=GEMMA_26B.name)
    desk.model.stand(on_card(RTX_4090, "4-bit"))
    changes: list[str] = []
    desk.store.changed.connect(lambda settings: changes.append(settings.precision))
    box = desk.gemma.precision
    for _ in range(3):
        QTest.keyClick(box, Qt.Key.Key_Down)
    desk.page.models._show()
    assert box.currentData() == "4-bit-tight"
    assert changes == []
    box._settling.setInterval(0)
    with qtbot.waitSignal(box.settled):
        box._settling.start()
    assert changes == ["4-bit-tight"]
    QTest.keyClick(box, Qt.Key.Key_Up)
    QTest.keyClick(box, Qt.Key.Key_Down)
    box.settle()
    assert changes == ["4-bit-tight"]  # and back again is no change
    assert desk.model.asked == []


def test_the_verdict_of_another_model_follows_each_key(desk: Desk) -> None:
    QTest.keyClick(desk.gemma.precision, Qt.Key.Key_Down)
    assert desk.gemma.verdict.text().startswith("Needs ")
    desk.gemma.precision.settle()
    assert desk.store.current.model == STARTER.name


def test_the_precision_of_the_model_in_use_is_a_setting(desk: Desk) -> None:
    choose(desk.starter, "bf16")
    assert desk.store.current.precision == "bf16"
    desk.store.change(precision="auto")
    assert desk.starter.precision.currentData() == "auto"


@pytest.mark.parametrize(
    ("device", "precision", "words", "use"),
    [
        (RTX_4090, "auto", "4-bit fits with ", "Use"),
        (RTX_4090, "bf16", "Needs 25.", "Try anyway"),
        (RTX_4090, "4-bit-tight", "Fits with ", "Use"),
        (RTX_3060, "auto", "Tight 4-bit needs 6.4\u00a0GB more than your RTX 3060 has free", "Try anyway"),
        (RTX_5090, "auto", "8-bit fits with ", "Use"),
        (
            RTX_5090,
            "bf16",
            "Needs 17.6\u00a0GB more than your RTX 5090 has free: choose 8-bit",
            "Try anyway",
        ),
        (CPU, "auto", "4-bit fits with ", "Use"),
    ],
)
def test_the_verdict_is_for_this_machine_and_forbids_nothing(
    desk: Desk, device: Device, precision: str, words: str, use: str
) -> None:
    desk.model.devices = (device,)
    install(GEMMA_26B.folder)
    shutil.copy(GEMMA_26B.describes / "config.json", GEMMA_26B.folder)
    scan(desk.page)
    choose(desk.gemma, precision)
    assert desk.gemma.verdict.text().startswith(words)
    assert ("very slow" in desk.gemma.verdict.text()) == (device is CPU)
    assert desk.gemma.use.text() == use
    desk.gemma.use.click()
    assert desk.store.current.model == GEMMA_26B.name


def test_8_bit_is_offered_where_its_kernels_are_and_judged_where_it_was_chosen(desk: Desk) -> None:
    def offered(*devices: Device) -> list[str]:
        desk.model.devices = devices
        desk.model.stand()
        box = desk.gemma.precision
        return [box.itemText(index) for index in range(box.count())]

    assert offered(RTX_5090) == ["Automatic", "Full precision (16-bit)", "8-bit", "4-bit", "Tight 4-bit"]
    assert offered(RTX_4090) == ["Automatic", "Full precision (16-bit)", "4-bit", "Tight 4-bit"]
    assert "8-bit" not in offered()
    desk.store.change(model=GEMMA_26B.name, precision="fp8")
    assert "8-bit" in offered(RTX_4090)
    assert desk.gemma.verdict.text().startswith("Needs 5.")


def test_a_larger_context_needs_more(desk: Desk) -> None:
    before = desk.gemma.verdict.text()
    desk.store.change(context_tokens=32768)
    assert desk.gemma.verdict.text() not in ("", before)


def test_what_the_devices_are_is_not_known_at_first(desk: Desk) -> None:
    desk.model.devices = ()
    desk.model.stand()
    assert desk.gemma.verdict.text() == "Whether it fits is not known yet."


def test_a_device_that_is_gone_leaves_verdicts_for_what_is_there(desk: Desk) -> None:
    desk.store.change(device="GPU-7")
    desk.model.stand()
    assert desk.gemma.verdict.text().startswith("4-bit fits with ")


def test_incomplete(desk: Desk) -> None:
    (install(GEMMA_26B.folder) / "tokenizer.json").unlink()
    scan(desk.page)
    assert "not complete" in desk.gemma.fault.text()
    assert desk.gemma.precision.isHidden()
    assert desk.gemma.verdict.isHidden()
    assert acts(desk.gemma) == ["Download 51.7 GB", "Remove…"]


def test_too_little_room_is_not_told_quietly(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert desk.gemma.state.property("quiet") is True
    usage = shutil.disk_usage("/")._replace(free=31_000_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    scan(desk.page)
    assert desk.gemma.state.text() == "31.0\u00a0GB free on this disk: not enough"
    assert desk.gemma.state.property("quiet") is False
    usage = usage._replace(free=60_000_000_000)
    scan(desk.page)
    assert desk.gemma.state.text().endswith("16.6\u00a0GB more: not enough for it")
    assert desk.gemma.state.property("quiet") is True
    desk.begin()
    assert desk.gemma.state.property("quiet") is True


@pytest.mark.parametrize("spelled", ["{0}/", "{0}/../mine", "~/mine"])
def test_a_folder_is_in_use_however_it_is_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, spelled: str
) -> None:
    folder = install(models_folder() / "mine")
    monkeypatch.setenv("HOME", str(folder.parent))
    desk.store.change(model=spelled.format(folder))
    scan(desk.page)
    desk.model.stand(on_card(RTX_4090, "bf16"))
    assert desk.page.models.rows[folder].state.text().startswith("In use on ")
    assert acts(desk.page.models.rows[folder]) == ["Free the memory now"]
    assert acts(desk.starter) == ["Use"]


def test_a_name_of_the_catalogue_is_no_folder(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = install(tmp_path / STARTER.name)
    monkeypatch.chdir(tmp_path)
    add(desk.page, folder)
    assert acts(desk.page.models.rows[folder]) == ["Use", "Take off the list"]


@pytest.mark.parametrize(("precision", "name"), [("4-bit", "4-bit"), ("fp8", "8-bit")])
def test_a_packed_copy_is_offered_as_it_is_packed(
    desk: Desk, tmp_path: Path, precision: str, name: str
) -> None:
    folder = install(tmp_path / "mine")
    config = json.loads((folder / "config.json").read_bytes())
    config["quantization_config"] = {"quant_method": "mezzotint", "precision": precision}
    (folder / "config.json").write_text(json.dumps(config))
    add(desk.page, folder)
    row = desk.page.models.rows[folder]
    offered = {row.precision.itemText(at) for at in range(row.precision.count())}
    assert offered <= {"Automatic", name}
    assert "Full" not in row.verdict.text()
    assert "its" in row.verdict.text()  # fits


def test_an_unfinished_download_of_an_earlier_run_is_paused(qtbot: QtBot, desk: Desk) -> None:
    folder = models_folder() / "owner--model"
    installation.partial(folder).mkdir(parents=True)
    record = installation.InstallRecord(repo="owner/model", licence="mit", total_bytes=2_000_000_000)
    installation.write_record(installation.partial(folder), record)
    again = DownloadQueue()
    page = ModelsPage(desk.store, desk.model, desk.devices, again, 300)  # type: ignore[arg-type]
    qtbot.addWidget(page)
    page.show()
    row = page.models.rows[folder]
    assert row.state.text() == "Paused · 0\u00a0MB of 2.0\u00a0GB"
    assert acts(row) == ["Resume", "Cancel"]
    assert row.source.accessibleName() == "Licence: mit.\nhttps://huggingface.co/owner/model"
    again.close()


# ------------------------------------------------------------------ what the writer does


def test_a_folder_is_used_where_it_lies_and_taken_off_the_list(desk: Desk, tmp_path: Path) -> None:
    folder = install(tmp_path / "mine")
    add(desk.page, folder)
    row = desk.page.models.rows[folder]
    assert acts(row) == ["Use", "Take off the list"]
    row.use.click()
    assert desk.store.current.model == str(folder)
    assert acts(row) == ["Load it now"]
    desk.starter.use.click()
    packed = packed_copy_folder(folder, "4-bit", packed_models_folder())
    packed.mkdir(parents=True)
    row.forget.click()
    assert desk.store.current.model_folders == ()
    assert folder not in desk.page.models.rows
    assert folder.is_dir()
    assert not packed.exists()


def test_a_folder_without_a_model_is_told(desk: Desk, tmp_path: Path) -> None:
    desk.page.acts.add_folder(str(tmp_path))
    assert "holds no model" in desk.page.fault.text()
    assert desk.page.fault.isVisible()
    assert desk.store.current.model_folders == ()


def test_a_folder_that_may_not_be_looked_into_is_told_as_that(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = Path.stat

    def refused(path: Path, **options: Any) -> os.stat_result:
        if path.parent == tmp_path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refused)
    desk.page.acts.add_folder(str(tmp_path))
    told = desk.page.fault.text().replace("\u200b", "")
    assert told.startswith(f"The folder “{tmp_path}” cannot be read: Permission denied. Allow Mezzotint")
    assert desk.store.current.model_folders == ()


def test_a_copy_is_imported_under_its_name_in_the_catalogue(desk: Desk, tmp_path: Path) -> None:
    desk.page.acts.import_folder(str(install(tmp_path / "diffusiongemma-26B-A4B-it")))
    assert [item.folder for item in desk.downloads.items] == [GEMMA_26B.folder]
    assert acts(desk.gemma) == ["Pause", "Cancel"]
    desk.page.acts.import_folder(str(install(tmp_path / "elsewhere" / "mine")))
    assert models_folder() / "mine" in desk.page.models.rows


def test_a_repository_is_typed(desk: Desk) -> None:
    desk.page.hub.click()
    assert desk.page.form.repo.isVisible()
    note = desk.page.form.note
    for text in ("owner/model", " https://huggingface.co/owner/model/", "hf.co/owner/model"):
        desk.page.form.repo.setText(text)
        page = "https://huggingface.co/owner/model"
        assert note.text().endswith(f'More about it: <a href="{page}">{page}</a>.')
        assert note.openExternalLinks()
    for text in ("https://huggingface.co/", "https://hugg", "owner/"):
        desk.page.form.repo.setText(text)
        assert note.text().endswith("its page on huggingface.co.")
    desk.page.form.repo.setText("nonsense")
    desk.page.form.fetch.click()
    assert "no model’s name" in desk.page.fault.text()
    desk.page.form.repo.setText("owner/model")
    QTest.keyClick(desk.page.form.repo, Qt.Key.Key_Return)
    assert desk.asked == ["probe: nonsense", "probe: owner/model"]
    assert not desk.page.form.repo.isVisible()
    assert desk.page.fault.isHidden()
    row = desk.page.models.rows[models_folder() / "owner--model"]
    assert row.accessibleName() == "owner/model"
    assert row.size_label.text() == "Size not known yet"


def test_what_has_arrived_is_told(desk: Desk, qtbot: QtBot) -> None:
    item = desk.begin()
    install(GEMMA_26B.folder)
    with qtbot.waitSignal(desk.page.models.arrived) as told:
        item.enter(DownloadState.DONE)
        item.ended.emit()
        assert desk.gemma.state.text() == "Done"
        assert acts(desk.gemma) == []
        finish_scan(desk.page)
    entry: ModelEntry = told.args[0]
    assert entry.label == GEMMA_26B.label
    assert acts(desk.gemma) == ["Use", "Remove…"]


def test_remove_asks_once(desk: Desk, qtbot: QtBot) -> None:
    install(GEMMA_26B.folder)
    scan(desk.page)
    for answer, stays in (("Keep", True), ("Remove", False)):
        desk.gemma.remove.click()
        boxes = [box for box in desk.page.findChildren(QMessageBox) if box.isVisible()]
        assert len(boxes) == 1
        with qtbot.waitSignal(boxes[0].finished):
            next(button for button in boxes[0].buttons() if button.text().strip("&") == answer).click()
        assert GEMMA_26B.folder.exists() == stays
    finish_scan(desk.page)
    assert acts(desk.gemma) == ["Download 51.7 GB"]


def test_the_licence_can_be_read_before_the_download(desk: Desk) -> None:
    desk.gemma.licence.click()
    dialog = desk.page.findChild(QDialog)
    assert isinstance(dialog, QDialog)
    text = dialog.findChild(QPlainTextEdit)
    assert isinstance(text, QPlainTextEdit)
    assert "Apache License" in text.toPlainText()
    assert text.toPlainText().startswith("https://huggingface.co/google/")
    dialog.reject()
    assert desk.asked == []


def press(key: Qt.Key, focused: QWidget | None = None) -> QWidget:
    """What has the focus afterwards."""
    if focused:
        focused.setFocus()
    widget = QApplication.focusWidget()
    assert widget is not None
    QTest.keyClick(widget, key)
    after = QApplication.focusWidget()
    assert after is not None
    return after


def test_tab_goes_down_the_page(desk: Desk, tmp_path: Path) -> None:
    add(desk.page, install(tmp_path / "mine"))
    desk.page.hub.click()
    QApplication.processEvents()  # new rows show themselves
    desk.page.back_link.setFocus()
    heights = []
    while (focused := press(Qt.Key.Key_Tab)) is not desk.page.form.fetch:
        heights.append(focused.mapTo(desk.page, focused.rect().bottomLeft()).y() // 10)
    assert len(heights) == 14
    assert heights == sorted(heights)


def test_a_link_in_a_text_is_one_stop_and_shows_that_it_has_the_keys(desk: Desk) -> None:
    item = desk.begin()
    item.fail(Fault("access", "Open https://a.example/x, then https://b.example/y."))
    QApplication.processEvents()
    row = desk.gemma
    both = ["https://a.example/x", "https://b.example/y"]
    for key, first, links, last in (
        (Qt.Key.Key_Tab, row.precision, both, row.token),
        (Qt.Key.Key_Backtab, row.token, both[::-1], row.precision),
    ):
        first.setFocus()
        for address in links:
            assert press(key) is row.fault
            assert row.fault.selectedText() == address
        assert press(key) is last


@pytest.mark.parametrize("key", [Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter])
def test_the_next_press_never_deletes(desk: Desk, key: Qt.Key) -> None:
    QApplication.processEvents()
    row = desk.gemma
    assert press(key, row.download) is row.pause
    assert press(key, row.pause) is row.resume
    assert press(key, row.resume) is row.pause
    assert press(key, row.cancel) is row.precision


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Enter])
def test_return_presses_every_button(desk: Desk, qtbot: QtBot, key: Qt.Key) -> None:
    QApplication.processEvents()
    press(key, desk.page.hub)
    assert desk.page.form.isVisible()
    close = next(button for button in desk.page.findChildren(QToolButton))
    for button, pressed in ((desk.page.back_link, desk.page.back), (close, desk.page.closed)):
        with qtbot.waitSignal(pressed):
            press(key, button)
    buttons = [button for button in desk.page.findChildren(QPushButton) if button.isVisible()]
    assert len(buttons) == 9
    assert all(button.autoDefault() for button in buttons)


def test_a_row_that_goes_takes_no_keys_with_it(desk: Desk) -> None:
    item = desk.downloads.download("owner/model", probe=True)
    row = desk.page.models.rows[item.folder]
    QApplication.processEvents()
    assert press(Qt.Key.Key_Space, row.cancel) is desk.page.add
    assert row.isHidden()


def ask_to_remove(row: ModelRow, qtbot: QtBot) -> QMessageBox:
    """The question, which has the keys."""
    row.remove.setFocus()
    row.remove.click()
    box = row.window().findChild(QMessageBox)
    assert isinstance(box, QMessageBox)
    qtbot.waitUntil(box.isActiveWindow)
    return box


def focus_after(box: QMessageBox, desk: Desk, qtbot: QtBot) -> QWidget | None:
    """What has the keys when the question is gone."""
    assert box.isActiveWindow()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    box.reject()
    desk.page.activateWindow()
    qtbot.waitUntil(desk.page.isActiveWindow)
    return QApplication.focusWidget()


def test_a_row_that_goes_while_a_question_has_the_keys_leaves_them_on_the_page(
    desk: Desk, qtbot: QtBot
) -> None:
    folder = install(models_folder() / "mine")
    scan(desk.page)
    QApplication.processEvents()
    box = ask_to_remove(desk.page.models.rows[folder], qtbot)
    shutil.rmtree(folder)
    scan(desk.page)
    assert folder not in desk.page.models.rows
    assert focus_after(box, desk, qtbot) is desk.page.add


def test_a_button_that_goes_while_a_question_has_the_keys_leaves_them_to_a_harmless_one(
    desk: Desk, qtbot: QtBot
) -> None:
    install(GEMMA_26B.folder)
    scan(desk.page)
    QApplication.processEvents()
    box = ask_to_remove(desk.gemma, qtbot)
    shutil.rmtree(GEMMA_26B.folder)
    scan(desk.page)
    assert desk.gemma.remove.isHidden()
    assert focus_after(box, desk, qtbot) is desk.gemma.download


def test_hours_of_download_are_not_thrown_away_by_one_press(desk: Desk, qtbot: QtBot) -> None:
    item = desk.begin()
    item.enter(DownloadState.DOWNLOADING)
    item.done_bytes, item.total_bytes = 18_400_000_000, 51_700_000_000
    for answer, state in (("Keep", DownloadState.DOWNLOADING), ("Delete", DownloadState.CANCELLED)):
        desk.gemma.cancel.click()
        box = next(box for box in desk.page.findChildren(QMessageBox) if box.isVisible())
        assert box.text() == "Delete what has arrived of DiffusionGemma 26B?"
        assert box.informativeText() == "18.4\u00a0GB are deleted."
        assert box.defaultButton() is box.escapeButton()
        assert box.defaultButton().text().strip("&") == "Keep"
        with qtbot.waitSignal(box.finished):
            next(button for button in box.buttons() if button.text().strip("&") == answer).click()
        assert item.state is state


def test_a_screen_reader_says_what_a_label_says(desk: Desk, tmp_path: Path) -> None:
    desk.page.acts.add_folder(str(tmp_path))
    desk.begin()
    labels = [label for label in desk.page.findChildren(QLabel) if label.text() and not label.isHidden()]
    assert len(labels) > 12
    for label in labels:
        said = QAccessible.queryAccessibleInterface(label).text(QAccessible.Text.Name).replace("\u00a0", " ")
        assert said == QTextDocumentFragment.fromHtml(label.text()).toPlainText().replace("\u200b", "")


def test_a_folder_whose_name_is_no_text_is_refused(desk: Desk, tmp_path: Path) -> None:
    folder = install(tmp_path / os.fsdecode(b"M\xfcller"))
    add(desk.page, folder)
    assert "M?ller" in desk.page.fault.text()
    assert desk.store.current.model_folders == ()


def test_a_folder_that_vanished_is_told_whether_or_not_it_is_in_use(desk: Desk, tmp_path: Path) -> None:
    folder = install(tmp_path / "stick" / "mine")
    add(desk.page, folder)
    shutil.rmtree(folder.parent)
    scan(desk.page)
    row = desk.page.models.rows[folder]
    assert row.fault.text().replace("\u200b", "").startswith(f"The folder “{folder}” is gone.")
    assert row.size_label.text() == ""
    assert acts(row) == ["Take off the list"]
    desk.store.change(model=str(folder))
    desk.model.stand(fault="There is no model.")
    assert "is gone" in row.fault.text()


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize(("kind", "damage"), [("input", "gone"), ("weights-broken", "cut")])
def test_a_load_that_failed_for_the_files_is_told_by_what_a_look_finds(
    desk: Desk, tmp_path: Path, kind: str, damage: str, shown: bool
) -> None:
    folder = install(tmp_path / "mine")
    add(desk.page, folder)
    row = desk.page.models.rows[folder]
    row.use.click()
    desk.page.setVisible(shown)
    whole = folder.rename(tmp_path / "whole")
    if damage == "cut":
        install(folder)
        os.truncate(folder / "model.safetensors", 100)
    desk.model.stand(fault="Give a folder, or one of: starter.", kind=kind)
    desk.page.show()
    finish_scan(desk.page)
    found = row.fault.text().replace("\u200b", "")
    assert ("is gone." if damage == "gone" else "damaged or cut short.") in found
    assert "Give a folder" not in found
    shutil.rmtree(folder, ignore_errors=True)
    whole.rename(folder)
    scan(desk.page)
    assert row.fault.isHidden()
    assert acts(row) == ["Load it now"]
    desk.model.stand(fault="There is not enough memory.", kind="out-of-memory")
    assert row.fault.text() == "There is not enough memory."


def test_a_missing_model_that_is_there_again_when_the_page_is_seen_is_not_missed(desk: Desk) -> None:
    desk.page.hide()
    desk.model.stand(fault="Give a folder, or one of: starter.", kind="input")
    desk.page.show()
    finish_scan(desk.page)
    assert desk.starter.fault.isHidden()


@pytest.mark.parametrize(
    ("kind", "precision", "message"),
    [
        ("input", "bf16", "It is packed as tight 4-bit, not full precision (16-bit)."),
        ("weights-broken", "auto", "Its weights do not fit."),
    ],
)
def test_what_a_look_does_not_find_stays_told(
    desk: Desk, tmp_path: Path, kind: str, precision: str, message: str
) -> None:
    folder = install(tmp_path / "mine")
    config = json.loads((folder / "config.json").read_bytes())
    config["quantization_config"] = {"quant_method": "mezzotint", "precision": "4-bit-tight"}
    (folder / "config.json").write_text(json.dumps(config))
    add(desk.page, folder)
    desk.store.change(model=str(folder), precision=precision)
    desk.model.stand(fault=message, kind=kind)
    finish_scan(desk.page)
    assert desk.page.models.rows[folder].fault.text() == message


def test_what_stops_out_of_view_is_told_elsewhere(desk: Desk, qtbot: QtBot) -> None:
    item = desk.begin()
    fault = Fault("network", "The Hub cannot be reached.")
    with qtbot.assertNotEmitted(desk.page.models.stopped):
        item.fail(fault)
    item.resume()
    desk.page.hide()
    with qtbot.waitSignal(desk.page.models.stopped) as told:
        item.fail(fault)
    assert told.args[0].download is item


def test_escape_goes_back(desk: Desk, qtbot: QtBot) -> None:
    with qtbot.waitSignal(desk.page.back):
        QTest.keyClick(desk.gemma.precision, Qt.Key.Key_Escape)
    with qtbot.waitSignal(desk.page.back):
        desk.page.back_link.click()


def test_every_control_has_a_name_and_can_be_reached_by_key(desk: Desk) -> None:
    desk.begin()
    controls: list[QWidget] = [
        *desk.page.findChildren(QAbstractButton),
        *desk.page.findChildren(QComboBox),
        *desk.page.findChildren(QLineEdit),
    ]
    assert len(controls) > 25
    for control in controls:
        assert control.accessibleName()
        assert control.focusPolicy() & Qt.FocusPolicy.TabFocus, control.accessibleName()
    shown = [control.accessibleName() for control in controls if control.isVisible()]
    assert len(set(shown)) == len(shown)


def test_nothing_is_wider_than_the_page(desk: Desk, tmp_path: Path) -> None:
    folder = install(tmp_path / ("a_very_long_folder_name_" * 4))
    add(desk.page, folder)
    (folder / "LICENSE").write_text("Do as you like.")
    installation.write_record(folder, installation.InstallRecord(licence="licence-of-many-words" * 4))
    scan(desk.page)
    desk.begin()
    for _ in range(3):  # a width gives a height, which gives the rows their places
        QApplication.processEvents()
    for row in desk.page.models.rows.values():
        for child in row.findChildren(QWidget):
            if child.isVisible():
                assert child.mapTo(desk.page, child.rect().topRight()).x() <= desk.page.width()
            if isinstance(child, QLabel) and child.isVisible():
                assert child.minimumSizeHint().width() <= child.width(), child.text()
                assert child.heightForWidth(child.width()) <= child.height(), child.text()


# ------------------------------------------------------------------ what is free now


def read(desk: Desk, **free_gib: float) -> None:
    """As if the watch had just read what is free, with what is loaded now."""
    free = {name.replace("_", "-"): int(gib * GIB) for name, gib in free_gib.items()}
    desk.devices.call.returned.emit(MemorySnapshot(desk.model.ready, (), free))


def test_the_verdict_is_by_what_is_free_now(desk: Desk) -> None:
    desk.model.devices = (RTX_4090, CPU)
    read(desk, GPU_4090=23.0, cpu=20.0)
    before = desk.gemma.verdict.text()
    assert before.startswith("4-bit fits with ")
    assert acts(desk.gemma) == ["Download 51.7 GB"]
    read(desk, GPU_4090=8.0, cpu=20.0)
    assert "more than your RTX 4090 has free: close other programs" in desk.gemma.verdict.text()
    assert acts(desk.gemma) == ["Download anyway"]
    read(desk, GPU_4090=23.0, cpu=20.0)
    assert desk.gemma.verdict.text() == before


def test_what_the_model_in_use_holds_would_be_free_for_another(desk: Desk) -> None:
    loaded = msgspec.structs.replace(on_card(RTX_4090, "bf16"), memory_bytes=15 * GIB)
    desk.model.stand(loaded)
    read(desk, GPU_4090=7.0, cpu=20.0)
    words = desk.gemma.verdict.text()
    assert words.startswith("4-bit fits with ")
    assert words.endswith(" to spare in place of the model in use.")
    assert "in place" not in desk.starter.verdict.text()
    choose(desk.gemma, "bf16")
    assert "more than your RTX 4090 has free even without the model in use" in desk.gemma.verdict.text()
    desk.model.stand()
    read(desk, GPU_4090=22.0, cpu=20.0)
    assert "in use" not in desk.gemma.verdict.text()


def test_an_open_list_of_precisions_stays_open(desk: Desk, qtbot: QtBot) -> None:
    model = desk.gemma.precision.model()
    with qtbot.assertNotEmitted(model.rowsRemoved), qtbot.assertNotEmitted(model.modelReset):
        read(desk, GPU_4090=8.0, cpu=20.0)
    assert desk.gemma.download.text() == "Download anyway"


def test_what_others_wrote_is_text_and_no_markup(desk: Desk, tmp_path: Path) -> None:
    folder = install(tmp_path / "<b>mine<b>")
    installation.write_record(folder, installation.InstallRecord(licence="<img src='x'>"))
    add(desk.page, folder)
    source = desk.page.models.rows[folder].source
    assert source.textFormat() is Qt.TextFormat.PlainText
    assert f"<img src='x'>.\n{folder}" in source.accessibleName()
    assert not source.focusPolicy() & Qt.FocusPolicy.TabFocus
