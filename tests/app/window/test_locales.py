"""In a locale that is not UTF-8, a file's name means the same file to Python and to Qt. Needs glibc's
`localedef` with the sources of its locales.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DRIVE = """
import sys
from pathlib import Path

from PySide6.QtCore import QTimer

from app import application
from app.__main__ import main
from app.window.main_window import MainWindow
from tests.fakes import FakeEngine

start = MainWindow.start

def write_and_save(window, path, *lost):
    start(window, path, *lost)
    try:
        window.view.page.insertPlainText("x")
        window.files.save()
        window.files.save_to(path.with_name("Gr\\u00f6\\u00dfe.md"), anew=True)
    finally:
        window.view.page.document().setModified(False)
        QTimer.singleShot(100, window, window.close)  # once the app waits for it

MainWindow.start = write_and_save
application.open_local_engine = FakeEngine
sys.exit(main())
"""


@pytest.fixture(params=["de_DE.ISO-8859-1", "de_DE.ISO-8859-15", "ja_JP.EUC-JP", "ru_RU.KOI8-R"])
def locale(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """One that is made for the test and holds for its children."""
    name = str(request.param)
    language, charset = name.split(".")
    folder = tmp_path / "locales"
    folder.mkdir()
    if shutil.which("localedef") is None:
        pytest.skip("no localedef here")
    command = ["localedef", "--force", "-i", language, "-f", charset, str(folder / name)]
    if subprocess.run(command, capture_output=True).returncode not in (0, 1):  # 1: with warnings
        pytest.skip("localedef has no sources of locales here")
    monkeypatch.setenv("LOCPATH", str(folder))
    monkeypatch.setenv("LC_ALL", name)
    asked = [sys.executable, "-c", "import sys; print(sys.getfilesystemencoding())"]
    if subprocess.run(asked, capture_output=True, text=True).stdout.strip() == "utf-8":
        pytest.skip("children do not take the locale here")
    return name


def utf8(name: str) -> str:
    """As this process spells a name of these bytes."""
    return os.fsdecode(name.encode())


@pytest.mark.parametrize("exists", [True, False])
def test_a_file_is_opened_and_saved_under_its_own_name(
    locale: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    place = tmp_path / utf8("Bücher")
    place.mkdir()
    names = [utf8("Größe.md"), utf8("brüder.md")]
    if exists:
        (place / names[1]).write_text("ä", encoding="utf-8")
    for kind in ("CONFIG", "STATE", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(place / "own"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    child = subprocess.run([sys.executable, "-c", DRIVE, "--in-thread", place / names[1]], timeout=60)
    assert child.returncode == 0
    assert {path.name for path in place.iterdir()} == {*names, "own"}
    for name in names:
        assert (place / name).read_text(encoding="utf-8") == ("xä" if exists else "x")
    assert (place / "own" / "mezzotint" / "settings.json").is_file()
