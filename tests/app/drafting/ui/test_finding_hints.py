"""What was found in a draft: under it, at the words, for keys and for screen readers."""

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QHelpEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QToolTip

from app.drafting.draft_actions import DraftActions
from app.drafting.draft_keys import DraftKeys
from app.drafting.finding import Finding, details
from app.drafting.ui.draft_bar import DraftBar
from app.drafting.ui.finding_hints import FindingHints
from engine.protocol.requests import Span
from tests.app.conftest import Run
from tests.app.drafting.conftest import Desk, ScriptedEngine

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support raise")  # of tooltips

SAYS = "He saw the the sea and Ida."
GLITCH = Finding("glitch", Span(11, 14), "Said twice in a row")
FACT = Finding("fact", Span(23, 26), "This name is not from your text")


@pytest.fixture
def desk(desk: Desk, engine: ScriptedEngine, run: Run) -> Desk:
    engine.says = SAYS
    run(desk.settled())
    FindingHints(desk.page, desk.drafts, desk.picking)
    return desk


@pytest.fixture
def bar(desk: Desk) -> DraftBar:
    actions = DraftActions(desk.drafts, desk.commands, desk.picking, desk.page)
    keys = DraftKeys(desk.page, desk.drafts, desk.commands)
    return DraftBar(desk.page, desk.drafts, actions, keys, desk.model)


def find(desk: Desk, *findings: Finding) -> None:
    assert desk.draft.words is not None
    desk.draft.words.findings = findings
    desk.draft.changed.emit()


def rest_on(desk: Desk, span: Span) -> str:
    """The tooltip that comes there."""
    QToolTip.hideText()
    QApplication.processEvents()
    view = desk.page.viewport()
    rects = desk.drafts.overlays[desk.draft].geometry.rects_of(span)
    place = rects[0].center().toPoint()
    QApplication.sendEvent(view, QHelpEvent(QEvent.Type.ToolTip, place, view.mapToGlobal(place)))
    return QToolTip.text()


def test_under_the_draft_its_facts_are_counted_and_mend_stands_where_there_is_something_to_mend(
    desk: Desk, bar: DraftBar
) -> None:
    find(desk)
    assert bar.facts.text() == "Check facts."
    assert not bar.mend.isVisible()
    find(desk, GLITCH, FACT, FACT)
    assert bar.facts.text() == "Check facts: 2 not from your text"
    assert bar.mend.isVisible()
    assert "said twice in a row" in bar.toolTip()
    assert "2 of its facts" in bar.accessibleDescription()
    told = []
    for width in range(900, 400, -20):
        desk.page.resize(width, 500)
        QApplication.processEvents()
        told += [bar.facts.text()] * bar.facts.isVisible()
    assert list(dict.fromkeys(told)) == ["Check facts: 2 not from your text", "Check facts: 2"]
    desk.page.resize(900, 500)
    find(desk)
    assert not bar.mend.isVisible()


def test_why_a_word_is_marked_is_told_where_the_mouse_rests(desk: Desk) -> None:
    find(desk, GLITCH, FACT)
    assert rest_on(desk, Span(0, 2)) == ""
    assert rest_on(desk, GLITCH.span) == GLITCH.reason
    assert rest_on(desk, FACT.span) == FACT.reason


def test_keys_that_go_from_word_to_word_tell_it_as_well(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def tell(event: QAccessibleAnnouncementEvent) -> None:
        told.append(event.message())

    monkeypatch.setattr(QAccessible, "updateAccessibility", tell)
    find(desk, GLITCH, FACT)
    desk.picking.begin()
    for _ in range(3):
        QTest.keyClick(desk.page, Qt.Key.Key_Right)
    assert told[-1] == f"the. {GLITCH.reason}"
    assert QToolTip.text() == GLITCH.reason


def test_many_findings_are_told_in_a_few_lines() -> None:
    assert len(details(SAYS, [FACT] * 6)) == 6
    assert len(details(SAYS, [FACT] * 40)) == 6
    assert "35" in details(SAYS, [FACT] * 40)[-1]
