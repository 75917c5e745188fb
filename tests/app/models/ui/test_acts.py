"""What the writer does with models."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QDialog,
    QMessageBox,
    QPlainTextEdit,
)
from pytestqt.qtbot import QtBot

from app.models.download_job import DownloadState
from app.models.model_entry import ModelEntry
from engine.checkpoints.catalogue import GEMMA_26B, models_folder, packed_models_folder
from engine.checkpoints.files import packed_copy_folder
from tests.app.models.desk import (
    Desk,
    acts,
    add,
    finish_scan,
    install,
    scan,
)


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
