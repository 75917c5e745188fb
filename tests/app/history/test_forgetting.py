"""What is deleted, or too old, or too much, is gone from the disk."""

from __future__ import annotations

from app.history.changes import SET_ASIDE, add, delete, delete_all, delete_before, first_to_stay, forget
from app.history.queries import count, rows
from tests.app.history.conftest import History
from tests.app.history.records import a_record

SECRET = "Rumpelstiltskin"
ENDLESS = 10**12


def prune(history: History, oldest: str, most_bytes: int = ENDLESS) -> None:
    first = history(first_to_stay, oldest, most_bytes)
    while history(delete_before, first):
        pass
    history(forget)


def test_nothing_of_a_history_that_was_deleted_is_left_in_its_files(history: History) -> None:
    for number in range(30):
        text = f"{number} {SECRET} slept. " * 100
        history(add, a_record(text, f"{SECRET}.", instruction=SECRET, name=SECRET))
    history(forget)
    full = history.path.stat().st_size
    kept = history.path.with_name(f"{history.path.name}{SET_ASIDE}1")
    kept.write_text(SECRET)
    assert SECRET.encode() in history.bytes()
    assert SECRET.lower().encode() in history.bytes()
    history(delete_all)
    assert SECRET.lower().encode() not in history.bytes().lower()
    assert not kept.exists()
    assert history.path.stat().st_size < full / 2
    assert history(count)[0] == 0
    history(add, a_record("The next one."))
    assert [row.text for row in history(rows, "next")] == ["The next one."]


def test_nothing_of_one_draft_that_was_deleted_is_left(history: History) -> None:
    for number in range(30):
        history(add, a_record(f"{number} rats slept.", request_id=str(number)))
    history(add, a_record(f"The name was {SECRET}."))
    for number in range(30):
        history(add, a_record(f"{number} mice slept.", request_id=str(number)))
    (row,) = history(rows, SECRET)
    history(delete, row.id)
    history(forget)
    assert SECRET.lower().encode() not in history.bytes().lower()
    assert history(count)[0] == 60
    assert len(history(rows, "rat")) == len(history(rows, "mice")) == 30


def test_what_is_too_old_goes_by_the_order_of_drafting(history: History) -> None:
    """The clock of one was set back, that of another forward."""
    for year in (2020, 2021, 2024, 1970, 2025, 2099, 2026):
        history(add, a_record(f"Of {year}."))
        history(add, a_record(f"Of {year}.", at=f"{year}-01-01T00:00:00+00:00"))
    prune(history, "2023-01-01T00:00:00+00:00")
    left = [row.text for row in history(rows)]
    assert left[-1] == "Of 2020."  # the clock of the first one was right
    prune(history, "2026-06-01T00:00:00+00:00")
    assert {row.text for row in history(rows)} == {"Of 2099.", "Of 2026."}


def test_what_is_too_much_goes_from_the_oldest_on(history: History) -> None:
    for number in range(300):
        history(add, a_record(f"Draft {number}. " + f"{number} " * 2000, request_id=str(number)))
    _, whole = history(count)
    prune(history, "", whole // 2)
    left, size = history(count)
    assert 0.4 * whole < size <= 0.5 * whole
    assert 120 < left < 150
    assert history(rows)[0].text.startswith("Draft 299.")
    prune(history, "", size)
    assert history(count) == (left, size)
    assert history.path.stat().st_size < 0.6 * whole


def test_another_window_that_is_open_holds_nothing_back(history: History) -> None:
    other = History(history.folder)
    other(add, a_record(f"{SECRET} slept."))
    assert len(history(rows, SECRET)) == 1
    history(delete_all)
    assert SECRET.lower().encode() not in history.bytes().lower()
    assert other(rows) == []
    other(add, a_record("The next one."))
    assert [row.text for row in history(rows, "next")] == ["The next one."]
    other.keeper.close()
