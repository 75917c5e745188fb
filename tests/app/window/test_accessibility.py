"""What a screen reader finds in the window."""

from collections.abc import Iterator

from PySide6.QtGui import QAccessible, QAccessibleInterface
from PySide6.QtWidgets import QWidget

from app.drafting.draft_session import DraftState
from app.window.main_window import MainWindow
from tests.app.conftest import Run
from tests.app.window.conftest import settle
from tests.fakes import TEXT as DRAFT

NAME = QAccessible.Text.Name
ROLE = QAccessible.Role


def shown(widget: QWidget) -> Iterator[QAccessibleInterface]:
    """Everything that is shown, from the widget down."""
    waiting = [QAccessible.queryAccessibleInterface(widget)]
    while waiting:
        part = waiting.pop()
        if not part.state().invisible:
            yield part
            waiting += [child for n in range(part.childCount()) if (child := part.child(n))]


def test_the_top_row_is_in_the_tree(window: MainWindow) -> None:
    found = {(part.role(), part.text(NAME)) for part in shown(window)}
    assert {(ROLE.Button, "Draft paragraph"), (ROLE.CheckBox, "Settings")} <= found
    assert {(ROLE.StaticText, "Untitled"), (ROLE.MenuItem, "Draft")} <= found


def test_the_step_is_a_progress_bar_with_a_value(window: MainWindow, run: Run) -> None:
    shares: list[float] = []

    def look() -> None:
        if window.view.drafts.state is DraftState.DENOISING:
            bars = [part for part in shown(window) if part.role() is ROLE.ProgressBar]
            assert [bar.text(NAME) for bar in bars] == ["Progress"]
            value = bars[0].valueInterface()
            shares.append(value.currentValue() / value.maximumValue())

    window.view.drafts.changed.connect(look)
    run(settle(window))
    assert shares == sorted(shares)
    assert shares[-1] > 0
    assert ROLE.ProgressBar not in [part.role() for part in shown(window)]


def test_a_settled_draft_can_be_read(window: MainWindow, run: Run) -> None:
    def texts() -> list[str]:
        return [part.text(NAME) for part in shown(window.view.bar) if part.role() is ROLE.StaticText]

    run(settle(window))
    assert DRAFT in texts()
    window.view.drafts.discard_all()
    assert texts() == []


def test_everything_that_takes_keys_has_a_name(window: MainWindow) -> None:
    window.panel_action.trigger()
    window.view.find_bar.open(replacing=True)
    window.notice.show_message("A message.", "", ("Try again", lambda: None))
    takers = [part for part in shown(window) if part.state().focusable]
    assert len(takers) > 20
    assert [part.role() for part in takers if not part.text(NAME)] == []
