"""The offer of what an earlier run left tells which text it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import QLocale

from app.documents.recovery import RecoveryCopy
from tests.app.window.conftest import Open

WORDS = "The ferry was late again. Clara sat on her suitcase at the end of the pier and watched."


@pytest.fixture
def in_german() -> Iterator[None]:
    before = QLocale()
    QLocale.setDefault(QLocale(QLocale.Language.German))
    yield
    QLocale.setDefault(before)


def leave(own_folders: Path, text: str, name: str, written_at: int) -> None:
    folder = own_folders / "state" / "mezzotint" / "recovery" / name
    folder.mkdir(parents=True)
    copy = folder / "a.recovery"
    copy.write_bytes(msgspec.json.encode(RecoveryCopy(path=None, bom=False, digest=None, text=text)))
    os.utime(copy, (written_at, written_at))


def test_each_text_is_told_by_its_first_words_and_an_english_date(
    own_folders: Path, open_window: Open, in_german: None
) -> None:
    leave(own_folders, f"\n  {WORDS} {WORDS}", "a", 1_760_486_400)  # the 15th, in any time zone
    leave(own_folders, "我們去公園散步" * 30, "b", 1_744_675_200)
    leave(own_folders, "", "c", 0)
    window = open_window()
    window.start(None)
    assert "“The ferry was late again. Clara sat on her suitcase at the …”" in window.offer.text
    assert " October 2025 at " in window.offer.text
    window.offer.buttons[0].click()
    assert window.view.page.text().strip().startswith("The ferry")
    window.view.page.document().setModified(False)
    assert f"“{('我們去公園散步' * 30)[:60]} …”" in window.offer.text
    window.offer.buttons[0].click()
    window.view.page.document().setModified(False)
    assert "“”" not in window.offer.text
    assert "not saved" in window.offer.text
