"""The page of models while nobody knows yet what is here."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from app.models import library
from app.models.download_job import DownloadState
from app.models.ui.models_page import ModelsPage
from app.settings.store import SettingsStore
from engine.checkpoints.catalogue import GEMMA_26B, STARTER
from tests.app.models.desk import (
    RTX_4090,
    Desk,
    acts,
    choose,
    finish_scan,
    install,
    on_card,
)


def threads_named(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


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
    assert page.models.rows[folder].verdict.text().startswith("Full precision fits")


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
