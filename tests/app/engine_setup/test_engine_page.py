"""The Engine page and the message bar: what is told in each state, and what can be pressed."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from PySide6.QtCore import QCoreApplication, QObject, Signal
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from app.engine_setup import plan as planning
from app.engine_setup.home import EngineHome
from app.engine_setup.lock import PYTHON, Lock, Requirements
from app.engine_setup.messages import SetUpOrder
from app.engine_setup.plan import Plans, SetUpPlan, make_plans
from app.engine_setup.session import SetUpSession, SetUpState
from app.engine_setup.ui.engine_page import EnginePage
from app.engine_setup.ui.network_fields import NetworkFields
from app.engine_setup.ui.notices import EngineNotices
from app.settings.store import SettingsStore
from app.widgets.message_bar import MessageBar
from engine.hardware.backend import BackendError
from engine.protocol.errors import engine_missing
from tests.app.engine_setup.parts import UV, Server, try_tiny, write_lock


@pytest.fixture
def session(home: EngineHome, lock: Lock, tmp_path: Path, qtbot: QtBot) -> Iterator[SetUpSession]:
    write_lock(lock, tmp_path / "locks")
    session = SetUpSession(home, locks=tmp_path / "locks", trial=try_tiny, uv=UV)
    yield session
    session.close()


@pytest.fixture
def page(session: SetUpSession, lock: Lock, tmp_path: Path, qtbot: QtBot) -> EnginePage:
    plans = Plans("cpu", "", {"cpu": SetUpPlan("cpu", lock)}, True, 10**10)
    store = SettingsStore(tmp_path / "settings.json")
    page = EnginePage(session, store, 300, lambda _: plans)
    qtbot.addWidget(page)
    page.resize(300, 700)
    page.show()
    qtbot.waitUntil(lambda: page.build.count() > 0)
    return page


def acts(page: EnginePage) -> list[str]:
    buttons = (page.start, page.pause, page.cancel, page.from_folder, page.repair, page.remove)
    return [button.text() for button in buttons if not button.isHidden()]


def press(button: QPushButton, answer: str) -> None:
    """And answer what it asks."""
    button.click()
    box = next(child for child in button.window().children() if hasattr(child, "buttons"))
    next(each for each in box.buttons() if each.text() == answer).click()
    QCoreApplication.processEvents()


def test_what_it_takes_is_told_before_anything_is_fetched(
    page: EnginePage, server: Server, lock: Lock
) -> None:
    assert "127.0.0.1" in page.facts.text()
    assert "1\xa0MB" in page.facts.text()
    assert "10.0\xa0GB" in page.facts.text()
    assert acts(page) == ["Set up the engine", "From files on this computer…"]
    assert server.asked == []


def test_set_up_repaired_and_removed(
    page: EnginePage, session: SetUpSession, qtbot: QtBot, home: EngineHome
) -> None:
    cleared: list[list[str]] = []
    session.installed.connect(lambda: cleared.append(acts(page)))
    page.start.setFocus()
    page.start.click()
    assert acts(page) == ["Pause", "Cancel"]
    assert page.pause.hasFocus()
    qtbot.waitUntil(lambda: session.state is SetUpState.READY, timeout=60_000)
    assert cleared == [[]]
    assert acts(page) == ["From files on this computer…", "Repair", "Remove…"]
    before = home.active
    page.repair.click()
    qtbot.waitUntil(lambda: session.state is SetUpState.READY, timeout=60_000)
    assert home.active not in (before, None)
    press(page.remove, "Remove")
    qtbot.waitUntil(lambda: session.state is SetUpState.MISSING, timeout=60_000)
    assert "Set up the engine" in acts(page)


def test_a_failure_is_told_and_can_be_gone_on_with(
    page: EnginePage, session: SetUpSession, server: Server, qtbot: QtBot
) -> None:
    server.status = 404
    page.start.click()
    qtbot.waitUntil(lambda: session.state is SetUpState.PAUSED, timeout=60_000)
    assert "404" in page.fault.text()
    assert acts(page) == ["Go on", "Cancel", "From files on this computer…"]
    server.status = 0
    page.start.click()
    assert page.fault.isHidden()
    qtbot.waitUntil(lambda: session.state is SetUpState.READY, timeout=60_000)


def test_from_a_folder_that_lacks_parts_the_network_is_a_click_away(
    page: EnginePage, session: SetUpSession, server: Server, tmp_path: Path, qtbot: QtBot
) -> None:
    session.begin(SetUpOrder(backend="cpu", folder=str(tmp_path / "none")))
    qtbot.waitUntil(lambda: session.state is SetUpState.PAUSED)
    assert page.from_network.isVisible()
    page.start.click()
    qtbot.waitUntil(lambda: session.state is SetUpState.PAUSED)
    assert not server.asked
    page.from_network.click()
    qtbot.waitUntil(lambda: session.state is SetUpState.READY, timeout=60_000)
    assert not page.from_network.isVisible()


@pytest.mark.parametrize("name", ["proxy", "mirror", "python_mirror"])
def test_the_network_of_the_writer_is_kept(
    page: EnginePage, session: SetUpSession, tmp_path: Path, name: str
) -> None:
    page.network.disclosure.click()
    field = page.network.fields[f"engine_{name}"]
    field.setText(" http://127.0.0.1:1 ")
    field.editingFinished.emit()
    stored = SettingsStore(tmp_path / "settings.json").current
    assert getattr(stored, f"engine_{name}") == "http://127.0.0.1:1"
    page.start.click()
    assert session.home.order is None or getattr(session.home.order, name) == "http://127.0.0.1:1"


def test_a_proxys_password_is_written_into_no_file(
    page: EnginePage,
    session: SetUpSession,
    server: Server,
    lock: Lock,
    home: EngineHome,
    tmp_path: Path,
    qtbot: QtBot,
) -> None:
    far = [dataclasses.replace(one, url=f"http://pypi.invalid/{one.file}") for one in lock.wheels]
    write_lock(dataclasses.replace(lock, wheels=tuple(far)), tmp_path / "locks")
    server.password = "anna:to/1@home"
    field = page.network.fields["engine_proxy"]
    field.setText(server.address.replace("//", "//anna:to%2F1@home@"))
    field.editingFinished.emit()
    assert field.text() == server.address.replace("//", "//anna@")
    assert page.network.password.text() == "to/1@home"
    assert page.network.password.displayText() != "to/1@home"
    session.progressed.connect(session.pause)
    page.start.click()
    qtbot.waitUntil(lambda: session.state is SetUpState.PAUSED, timeout=60_000)
    session.progressed.disconnect(session.pause)
    for kept in (home.folder / "set-up.json", tmp_path / "settings.json"):
        assert "anna" in kept.read_text()
        assert "home@" not in kept.read_text()
    page.start.click()  # it is told again, though the order on the disk has none
    qtbot.waitUntil(lambda: session.state is SetUpState.READY, timeout=60_000)


def test_a_password_that_was_written_into_the_settings_leaves_them(tmp_path: Path, qtbot: QtBot) -> None:
    store = SettingsStore(tmp_path / "settings.json")
    store.change(engine_proxy="http://anna:secret@host:8080")
    fields = NetworkFields(store)
    qtbot.addWidget(fields)
    assert fields.proxy == "http://anna:secret@host:8080"
    assert "secret" not in (tmp_path / "settings.json").read_text()


def test_a_paused_repair_says_whether_an_engine_is_there_meanwhile(
    page: EnginePage, session: SetUpSession, home: EngineHome, qtbot: QtBot
) -> None:
    def paused() -> str:
        session.progressed.connect(session.pause)
        (page.repair if session.state is SetUpState.READY else page.start).click()
        qtbot.waitUntil(lambda: session.state is SetUpState.PAUSED, timeout=60_000)
        session.progressed.disconnect(session.pause)
        return page.state.text()

    page.start.setFocus()
    alone = paused()
    assert page.start.hasFocus()  # and not what deletes
    page.start.click()
    qtbot.waitUntil(lambda: session.state is SetUpState.READY, timeout=60_000)
    beside = paused()
    assert home.active
    assert beside.startswith(alone)
    assert len(beside) > len(alone)


def test_files_on_this_computer_are_asked_for_only_where_their_list_is_here(
    session: SetUpSession, lock: Lock, tmp_path: Path, qtbot: QtBot
) -> None:
    def page_for(parts: Lock | Requirements, has_python: bool) -> EnginePage:
        plans = Plans("cpu", "", {"cpu": SetUpPlan("cpu", parts)}, has_python, 10**10)
        page = EnginePage(session, SettingsStore(tmp_path / "settings.json"), 300, lambda _: plans)
        qtbot.addWidget(page)
        page.show()
        qtbot.waitUntil(lambda: page.build.count() > 0)
        return page

    listed = page_for(lock, True)
    assert f" {len(lock.wheels)} files" in listed.needed.text()
    assert PYTHON not in listed.needed.text()
    assert PYTHON in page_for(lock, False).needed.text()
    unlisted = page_for(Requirements(Path("a"), Path("b"), "https://index.invalid/cpu", PYTHON, "d"), True)
    assert unlisted.start.isVisible()
    assert not unlisted.from_folder.isVisible()
    assert not unlisted.needed.isVisible()


def test_a_machine_that_needs_another_driver_is_told_and_may_take_the_processor(
    home: EngineHome, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise BackendError("The graphics card needs a newer driver.")

    monkeypatch.setattr(planning, "find_backend", fail)
    write_lock(lock, tmp_path / "locks")
    plans = make_plans(home, tmp_path / "locks", UV)
    assert plans.problem == "The graphics card needs a newer driver."
    assert plans.best == "cpu"
    assert not home.folder.exists()


def test_without_uv_that_is_told_first(home: EngineHome, tmp_path: Path) -> None:
    plans = make_plans(home, uv=tmp_path / "nowhere")
    assert plans.problem
    assert plans.plans


def test_a_home_on_a_drive_that_is_not_there_is_told(
    home: EngineHome, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_usage(path: Path) -> object:
        raise FileNotFoundError(path)

    write_lock(lock, tmp_path / "locks")
    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    plans = make_plans(home, tmp_path / "locks", UV)
    assert str(home.folder) in plans.problem
    assert plans.free_bytes == 0
    assert plans.best == "cpu"


class FakeModel(QObject):
    failed = Signal(object)
    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.ready: object | None = None
        self.devices: tuple[object, ...] = ()
        self.asked: list[str] = []

    def unload(self) -> None:
        self.asked.append("unload")

    def load(self) -> None:
        self.asked.append("load")

    def reload(self) -> None:
        self.asked.append("reload")


class FakeDrafts(QObject):
    changed = Signal()

    def __init__(self, develops: bool) -> None:
        super().__init__()
        self.overlays = [SimpleNamespace(develops=develops)]


def test_a_new_engine_waits_for_a_draft_that_develops(session: SetUpSession, qtbot: QtBot) -> None:
    bar, model, drafts = MessageBar(), FakeModel(), FakeDrafts(develops=True)
    qtbot.addWidget(bar)
    EngineNotices(bar, model, drafts, session, bar)  # type: ignore[arg-type]
    session.installed.emit()
    drafts.changed.emit()
    assert model.asked == []
    drafts.overlays[0].develops = False
    drafts.changed.emit()
    drafts.changed.emit()
    assert model.asked == ["unload", "load"]


def test_a_draft_without_an_engine_leads_to_it_and_loads_once_it_is_there(
    session: SetUpSession, qtbot: QtBot
) -> None:
    bar, model = MessageBar(), FakeModel()
    qtbot.addWidget(bar)
    drafts = FakeDrafts(develops=False)
    notices = EngineNotices(bar, model, drafts, session, bar)  # type: ignore[arg-type]
    asked: list[bool] = []
    notices.engine_asked.connect(lambda: asked.append(True))
    model.failed.emit(engine_missing().fault)
    assert not bar.isHidden()
    bar.buttons[0].click()
    assert asked == [True]
    told: list[str] = []
    notices.progressed.connect(told.append)
    session.begin(SetUpOrder(backend="cpu"))
    qtbot.waitUntil(lambda: session.state is SetUpState.READY, timeout=60_000)
    assert model.asked == ["unload", "load"]
    assert "80%" in "".join(told)
    assert told[-1] == ""


def test_what_went_wrong_is_told_until_the_next_try_begins(
    session: SetUpSession, server: Server, qtbot: QtBot
) -> None:
    bar, model = MessageBar(), FakeModel()
    qtbot.addWidget(bar)
    EngineNotices(bar, model, FakeDrafts(develops=False), session, bar)  # type: ignore[arg-type]
    server.status = 404
    session.begin(SetUpOrder(backend="cpu"))
    qtbot.waitUntil(lambda: session.state is SetUpState.PAUSED, timeout=60_000)
    assert "404" in bar.text
    server.status = 0
    session.resume()
    assert bar.isHidden()
    qtbot.waitUntil(lambda: session.state is SetUpState.READY, timeout=60_000)
    bar.show_message("Something else")
    session.begin(SetUpOrder(backend="cpu"))
    assert not bar.isHidden()
    qtbot.waitUntil(lambda: session.state is SetUpState.READY, timeout=60_000)
