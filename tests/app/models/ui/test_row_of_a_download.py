"""The row of a model that comes: pauses, faults, tokens."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from app.models.download_job import SECOND_MS, DownloadState
from app.models.transfer.messages import HubOrder, Waiting
from engine.checkpoints.catalogue import GEMMA_26B
from engine.protocol.errors import Fault
from tests.app.models.desk import (
    Desk,
    acts,
)
from tests.app.timers import let_pass, timer_of


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
    assert timer_of(item, SECOND_MS).isActive()
    let_pass(item, SECOND_MS)
    assert desk.gemma.state.text().startswith("The connection is lost · trying again now")
    item.pause()
    assert not timer_of(item, SECOND_MS).isActive()


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
    assert isinstance(item.order, HubOrder)
    assert item.order.token == "hf_secret"
    assert item.state is DownloadState.CHECKING
    assert desk.gemma.token.isHidden()
    assert desk.gemma.token.text() == ""
