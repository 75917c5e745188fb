"""The window on small screens, each a process with a screen of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CODE = """
import sys
from pathlib import Path
from PySide6.QtCore import QRect
from PySide6.QtWidgets import QApplication, QWidget
from app.application import make_application
from app.documents.recovery import RecoveryStore
from app.settings.store import SettingsStore
from app.widgets.screen import room_on_screen
from app.window.main_window import MainWindow
from app.worker.engine_thread import EngineThread
from tests.fakes import FakeEngine

app = make_application(["mezzotint"])
store = SettingsStore(Path(sys.argv[1]))

def open_window():
    window = MainWindow(store, EngineThread(FakeEngine), RecoveryStore())
    window.show()
    app.processEvents()
    return window

def fits(window, least):
    app.processEvents()
    available, frame = window.screen().availableGeometry(), window.frameGeometry()
    assert available.width() == int(sys.argv[2])
    assert available.contains(frame), (frame, available)
    assert window.width() >= window.minimumSizeHint().width() >= least
    return window

first = fits(open_window(), 500)
first.close()
for opened in (False, True):
    store.change(panel_open=opened)
    large = open_window()
    large.setGeometry(QRect(400, 300, 3000, 2000))
    large.close()
    later = fits(open_window(), 500)
    assert later.width() > 0.9 * later.screen().availableGeometry().width() - 16
    later.close()
store.change(panel_open=False)
window = open_window()
least = window.minimumSizeHint()
window.resize(least)
right = window.screen().availableGeometry().right()
window.move(right - window.frameGeometry().width() - 1, 20)
window.panel_action.trigger()
fits(window, least.width() + 50)
assert window.side_panel.panel.isVisible()
window.panel_action.trigger()
app.processEvents()
assert window.size() == least

window.move(0, 0)
window.resize(room_on_screen(window))
bar = window.view.find_bar
bar.open(replacing=True)
window.notice.show_message("What happened. " * 5, "What to do next.", ("Do it", bar.update))
fits(window, 500)
window.notice.hide()
window.panel_action.trigger()
fits(window, 500)
assert window.view.page.height() > 100
parts = [part for part in bar.findChildren(QWidget) if part.isVisible()]
assert len(parts) > 10
for part in parts:
    assert bar.rect().contains(part.mapTo(bar, part.rect().bottomRight()))
    assert part.width() >= part.minimumSizeHint().width()
    assert part.height() >= part.minimumSizeHint().height()
"""


@pytest.mark.parametrize(
    ("width", "height", "dpr"), [(1366, 768, 1), (1024, 600, 1), (1280, 720, 1), (683, 384, 2)]
)
def test_the_window_fits_the_screen(tmp_path: Path, width: int, height: int, dpr: int) -> None:
    """dpr: pixels per pixel."""
    screen = {"x": 0, "y": 0, "width": width, "height": height, "dpr": dpr}
    config = {"screens": [{"name": "screen", "logicalDpi": 96, "logicalBaseDpi": 96, **screen}]}
    file = tmp_path / "screen.json"
    file.write_text(json.dumps(config))
    env = os.environ | {"QT_QPA_PLATFORM": f"offscreen:configfile={file}"}
    command = [sys.executable, "-c", CODE, str(tmp_path / "settings.json"), str(width)]
    subprocess.run(command, cwd=ROOT, env=env, check=True, timeout=60)
