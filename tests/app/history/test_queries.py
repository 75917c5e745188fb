"""What is in the history, in which order, and what a search finds."""

from __future__ import annotations

import pytest

from app.history.changes import add, delete, mark_kept, name_document
from app.history.queries import ROWS, count, record, rows
from tests.app.history.conftest import History
from tests.app.history.records import FIRST_SEED, a_record


def texts(history: History, query: str = "") -> list[str]:
    return [row.text for row in history(rows, query)]


def test_a_draft_comes_back_whole(history: History) -> None:
    put = a_record("It rained.", "Émile read on 🦊.", instruction="be brief", path="/a/ferry.md")
    history(add, put)
    (row,) = history(rows)
    found = history(record, row.id)
    assert found.asked == put.asked
    assert found.variants == put.variants
    assert (found.name, found.path, found.instruction, found.kept) == (
        "ferry.md",
        "/a/ferry.md",
        "be brief",
        None,
    )


def test_the_variant_that_was_kept_stands_for_its_draft(history: History) -> None:
    for name in ("one", "two"):
        history(add, a_record("It rained.", f"The sun of {name}.", request_id=name))
    history(mark_kept, "one", FIRST_SEED + 1)
    assert [(row.text, bool(row.kept)) for row in history(rows)] == [
        ("It rained.", False),
        ("The sun of one.", True),
    ]
    history(mark_kept, "one", FIRST_SEED + 9)
    history(mark_kept, "nobody's", FIRST_SEED)
    assert [row.kept for row in history(rows)] == [0, 1]


def test_the_newest_are_read_first_and_the_rest_by_the_page(history: History) -> None:
    for number in range(ROWS + 5):
        history(add, a_record(f"Draft {number}.", at=f"20{99 - number}-01-01T00:00:00+00:00"))
    first = history(rows)
    assert [row.text for row in first] == [f"Draft {number}." for number in range(ROWS + 4, 4, -1)]
    rest = history(rows, before=first[-1].id)
    assert [row.text for row in rest] == [f"Draft {number}." for number in range(4, -1, -1)]
    found = history(rows, "draft")
    assert [row.id for row in found] == [row.id for row in first]
    assert [row.id for row in history(rows, "draft", found[-1].id)] == [row.id for row in rest]


@pytest.mark.parametrize(
    ("text", "queries"),
    [
        ("It was Émile’s café.", ["emil", "CAFÉ", "cafe é", "was it", "Émile’s"]),
        ("那天晚上，渡轮又迟到了。", ["渡", "渡轮", "轮又迟", "晚上 迟到"]),
        ("ひらがなとカタカナ", ["がな", "タカ"]),
        ("สวัสดีครับ ผมชื่อเอมิล", ["สวัส", "ชื่อ", "ดีครับ"]),
        ("हिन्दी में लिखा", ["हिन्", "लिखा"]),
        ("한국어 문장", ["한국", "문"]),
        ("كانت العبّارة متأخرة", ["العب", "متأخرة"]),
        ("Мама мыла раму", ["МЫЛ", "рам"]),
        ("“Stop!” – it cost 100 $", ["stop", '"stop', "100", "it AND", "cost*", "(cost"]),
        ("The fox 🦊 100%_\\", ["🦊", "%", "\\", "_"]),
    ],
)
def test_a_search_finds_words_by_their_beginnings_in_any_script(
    history: History, text: str, queries: list[str]
) -> None:
    history(add, a_record("Nothing of it", name="x"))
    history(add, a_record(text, name="x"))
    for query in queries:
        expected = [] if query == "it AND" else [text]
        assert texts(history, query) == expected, query
    assert texts(history, "zzz") == texts(history, "✗") == []


def test_a_search_finds_what_stands_around_a_draft(history: History) -> None:
    history(add, a_record("One.", "Two.", verb="Polish", instruction="much warmer", name="Letter.md"))
    history(add, a_record("Three."))
    for query in ("polish", "warm", "letter", "two", "polish letter"):
        assert texts(history, query) == ["One."], query


def test_a_text_that_gets_a_file_is_found_by_its_name(history: History) -> None:
    history(add, a_record("One.", name="Untitled", document_id="a"))
    history(add, a_record("Two.", name="old.md", path="/old.md", document_id="a"))
    history(add, a_record("Three.", name="Untitled", document_id="b"))
    history(name_document, "a", "/new.md", "new.md")
    assert [row.name for row in history(rows)] == ["Untitled", "old.md", "new.md"]
    assert texts(history, "new") == ["One."]
    assert texts(history, "untitled") == ["Three."]


def test_what_was_deleted_is_not_found(history: History) -> None:
    for text in ("One fox.", "Two foxes."):
        history(add, a_record(text))
    history(delete, history(rows)[0].id)
    assert texts(history) == texts(history, "fox") == ["One fox."]
    assert history(count)[0] == 1
    assert history(record, 2) is None
    history(add, a_record("Three foxes."))
    assert [row.id for row in history(rows)] == [3, 1]
