"""What is told of models that have gone, and that the page shows all as it is."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QTextDocumentFragment
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.models.transfer import installation
from engine.protocol.errors import Fault
from tests.app.models.desk import (
    CPU,
    GIB,
    RTX_4090,
    Desk,
    acts,
    add,
    choose,
    finish_scan,
    install,
    on_card,
    scan,
)
from tests.app.models.ui.conftest import read


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
        ("input", "bf16", "It is packed as tight 4-bit, not full precision."),
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
