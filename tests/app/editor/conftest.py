"""A page, alone and with several gaps."""

import pytest
from pytestqt.qtbot import QtBot

from app.editor.page import Page
from tests.app import pages
from tests.app.pages import TEXT, make_page

DRAFT = "She thought about it. The boat would mean another night at the hotel.\nShe stood up."
PLACES = [0, 30, TEXT.index("\n"), TEXT.index("\n\n") + 1, TEXT.index("lock"), len(TEXT)]
HEBREW = "הוא הלך אל הים והסתכל על הגלים"


@pytest.fixture(params=[False, True], ids=["one gap", "three gaps"])
def company(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The draft is alone, or there is one under the next paragraph and one under the first, too."""
    monkeypatch.setattr(pages, "with_company", request.param)


@pytest.fixture
def page(qtbot: QtBot) -> Page:
    return make_page(qtbot)
