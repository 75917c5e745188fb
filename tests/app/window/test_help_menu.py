"""Help: what the shortcuts, the diagnostics and About say."""

from pathlib import Path

import platformdirs
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import QMenu, QPushButton

from app.settings.schema import Settings
from app.window.diagnostics import ROOT, app_version, diagnostics, licence, log_end, version
from app.window.help_menu import TextDialog, about, shortcuts
from app.window.main_window import MainWindow
from engine.protocol.events import Device

KEY = Qt.Key
DEVICE = Device(id="cpu", name="A processor", total_bytes=2**30, free_bytes=2**29)
SECRETS = (
    "/home/anna/My novel, part 2.md: Permission denied",
    "C:\\Users\\Anna\\Documents\\letter to Clara.md",
    "“letter to Clara.md” is open in another window too.",
    f"{ROOT}/drafts/Clara.md and ./novel: https://anna.example",
    "[Errno 13] Permission denied: '/home/anna/letter to Clara.md' and ~/novel",
)


def test_every_key_of_the_menus_is_listed(window: MainWindow) -> None:
    listed = shortcuts(window.top.menus)
    assert listed["Edit"][-1] == ("Replace…", "Ctrl+H")
    assert ("Keep", "Enter") in listed["Draft"]
    assert ("Full screen", "F11") in listed["View"]
    assert {"File", "Edit", "Draft", "View", "Help"} == set(listed)


def test_the_diagnostics_hold_no_name_and_no_text(window: MainWindow, tmp_path: Path) -> None:
    log = platformdirs.user_log_path("mezzotint", appauthor=False) / "mezzotint.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    own = Path(diagnostics.__code__.co_filename)
    log.write_text("\n".join([*SECRETS, f'File "{own}", line 3, in start']), encoding="utf-8")
    settings = Settings(model="/home/anna/models/mine", model_folders=("/home/anna/models",), seed=7)
    text = diagnostics(settings, None, [DEVICE])
    for secret in ("anna", "Anna", "Clara", "novel", "mine"):
        assert secret not in text
    told = version("torch"), "A processor", "seed: 7", "Permission denied", "app/window/diagnostics.py"
    for words in told:
        assert words in text


def test_without_a_log_the_diagnostics_say_so(qapp: object) -> None:
    assert log_end() == ["no log"]


def test_the_dialogs_show_and_copy(window: MainWindow) -> None:
    menu = window.top.menus.actions()[-1].menu()
    assert isinstance(menu, QMenu)
    for action in menu.actions():
        action.trigger()
    dialogs = {dialog.windowTitle(): dialog for dialog in window.findChildren(TextDialog)}
    assert set(dialogs) == {"Keyboard shortcuts", "Diagnostics", "About Mezzotint"}
    copy = dialogs["Diagnostics"].findChildren(QPushButton)[0]
    copy.click()
    assert f"transformers {version('transformers')}" in QGuiApplication.clipboard().text()
    for dialog in dialogs.values():
        dialog.accept()


def test_about_tells_versions_and_licences() -> None:
    text = about()
    assert app_version() in text
    assert version("PySide6-Essentials") in text
    assert "OFL-1.1" in text
    assert "LGPL-3.0" in licence("PySide6-Essentials")


@pytest.mark.parametrize("package", ["no-such-package"])
def test_a_package_that_is_not_there_is_told(package: str) -> None:
    assert (version(package), licence(package)) == ("not found", "")


def test_each_key_is_on_every_layout(window: MainWindow) -> None:
    """What needs Alt Gr on a German or a French keyboard, such as brackets, is no key with Ctrl there."""
    named = {KEY.Key_Return, KEY.Key_Enter, KEY.Key_Tab, KEY.Key_Backspace, KEY.Key_Delete, KEY.Key_Insert}
    moves = {KEY.Key_PageUp, KEY.Key_PageDown, KEY.Key_Left, KEY.Key_Right, KEY.Key_Up, KEY.Key_Down}
    everywhere = named | moves | {KEY.Key_Comma, KEY.Key_Period, KEY.Key_Plus, KEY.Key_Minus, KEY.Key_0}

    def can_be_typed(key: Qt.Key) -> bool:
        return key in everywhere or KEY.Key_A <= key <= KEY.Key_Z or KEY.Key_F1 <= key <= KEY.Key_F12

    keyed = [action for action in window.findChildren(QAction) if not action.shortcut().isEmpty()]
    assert len(keyed) > 20
    for action in keyed:
        assert any(can_be_typed(keys[0].key()) for keys in action.shortcuts()), action.text()  # type: ignore[index]
