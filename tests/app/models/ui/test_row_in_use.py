"""The row of the model in use, and of one that could be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.models.download_queue import DownloadQueue
from app.models.transfer import installation
from app.models.ui.models_page import ModelsPage
from app.widgets.combo_box import SETTLE_MS
from engine.checkpoints.catalogue import GEMMA_26B, STARTER, models_folder
from engine.protocol.events import Device, Loading
from tests.app.models.desk import (
    CPU,
    RTX_3060,
    RTX_4090,
    RTX_5090,
    Desk,
    acts,
    add,
    choose,
    install,
    on_card,
    scan,
)
from tests.app.timers import let_pass


def test_in_use_loading_unloaded_and_failed(desk: Desk) -> None:
    row = desk.starter
    desk.model.stand(on_card(RTX_4090, "bf16"))
    assert row.state.text() == "In use on RTX 4090 · Full precision"
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
    desk.model.changed.emit()
    assert box.currentData() == "4-bit-tight"
    assert changes == []
    let_pass(box, SETTLE_MS)
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

    assert offered(RTX_5090) == ["Automatic", "Full precision", "8-bit", "4-bit", "Tight 4-bit"]
    assert offered(RTX_4090) == ["Automatic", "Full precision", "4-bit", "Tight 4-bit"]
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
