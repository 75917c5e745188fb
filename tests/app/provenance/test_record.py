"""A text is found again by its content, and nothing is claimed that cannot be told."""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.provenance import store
from app.provenance.paragraphs import PLAIN, UNKNOWN, Paragraph, Run, paragraph
from app.provenance.record import FORMAT, Record, found_again, placed, record_of
from app.provenance.store import read_record, records_folder, write_record

DRAFTED = "it was late and nobody in the old town had gone to bed yet"
TEXTS = ["HE CAME HOME.", "", f"SHE SAID: {DRAFTED}. THEN NOTHING.", "", DRAFTED, "THE END"]


def marked(texts: list[str]) -> list[Paragraph]:
    """What is in small letters was drafted."""
    return [
        paragraph(text, [Run(text.index(DRAFTED), text.index(DRAFTED) + len(DRAFTED), "M")])
        if DRAFTED in text
        else PLAIN
        for text in texts
    ]


RECORD = record_of("d1", TEXTS, marked(TEXTS))


def parts(found: list[Paragraph], owner: str) -> list[str]:
    return [each.text[run.start : run.end] for each in found for run in each.runs if run.owner == owner]


def test_a_text_that_is_the_same_is_as_it_was() -> None:
    assert placed(RECORD.marked, TEXTS) == found_again(RECORD, TEXTS) == marked(TEXTS)


def test_paragraphs_that_moved_are_known_and_new_ones_are_not() -> None:
    found = found_again(RECORD, ["WRITTEN ELSEWHERE", "", *TEXTS[:3], "AND MORE", *TEXTS[3:]])
    assert parts(found, "M") == [DRAFTED, DRAFTED]
    assert parts(found, UNKNOWN) == ["WRITTEN ELSEWHERE", "AND MORE"]


def test_of_a_changed_paragraph_the_words_that_stayed_are_known() -> None:
    changed = [*TEXTS[:4], "it was late and NOBODY in the GREAT town had gone to bed yet", TEXTS[5]]
    found = found_again(RECORD, changed)
    assert parts(found, "M") == [DRAFTED, "it was late and ", " town had gone to bed yet"]
    assert parts(found, UNKNOWN) == ["NOBODY in the GREAT"]


def test_words_that_may_be_there_by_chance_are_not_claimed() -> None:
    found = found_again(RECORD, [*TEXTS[:4], "he had in the end gone home", TEXTS[5]])
    assert parts(found, "M") == [DRAFTED]
    assert parts(found, UNKNOWN) == ["he had in the end gone home"]


def test_another_text_has_nothing_of_it() -> None:
    assert parts(found_again(RECORD, ["ONE", "TWO 🌊", "שלום"]), "M") == []
    assert found_again(RECORD, [""]) == [PLAIN]


ODD = ["", "A", "B 🌊 C", DRAFTED, f"שלום {DRAFTED} D", "🦊"]
LINES = st.lists(st.sampled_from(ODD), min_size=1, max_size=8)


@given(LINES, LINES)
def test_only_what_was_drafted_is_ever_claimed(old: list[str], new: list[str]) -> None:
    found = found_again(record_of("", old, marked(old)), new)
    assert [each.text or text for each, text in zip(found, new, strict=True)] == new
    assert all(part.strip() and part.strip() in DRAFTED for part in parts(found, "M"))
    assert len(parts(found, "M")) <= sum(DRAFTED in text for text in old)


# ---------------------------------------------------------------- in the data folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ferry.md"


def test_a_file_is_found_by_its_name_and_by_its_content(path: Path, tmp_path: Path) -> None:
    write_record(path, RECORD)
    assert read_record(path, "d1") == (RECORD, None)
    assert read_record(path, "another") == (RECORD, None)
    assert read_record(tmp_path / "renamed.md", "d1") == (RECORD, None)
    assert read_record(tmp_path / "renamed.md", "another") == (None, None)


def test_a_document_has_one_record_and_none_where_nothing_is_marked(path: Path) -> None:
    write_record(path, RECORD)
    write_record(path, msgspec.structs.replace(RECORD, digest="d2"))
    assert len(list(records_folder().iterdir())) == 1
    write_record(path, msgspec.structs.replace(RECORD, digest="d3", marked=()))
    assert list(records_folder().iterdir()) == []


def cut_short(data: bytes) -> bytes:
    return data[:-20]


def with_fewer_pieces(data: bytes) -> bytes:
    fields = msgspec.json.decode(data)
    fields["marked"][0]["pieces"] = "AAAA"
    return msgspec.json.encode(fields)


def before_the_text(data: bytes) -> bytes:
    return data.replace(b'"number":2', b'"number":-2')


@pytest.mark.parametrize("damage", [cut_short, with_fewer_pieces, before_the_text])
def test_a_broken_record_is_set_aside(
    path: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    write_record(path, RECORD)
    (file,) = records_folder().iterdir()
    file.write_bytes(damage(file.read_bytes()))
    record, kept_aside = read_record(path, "d1")
    assert record is None
    assert kept_aside == file.with_name(f"{file.name}.unreadable")
    assert kept_aside.exists()
    assert read_record(path, "d1") == (None, None)
    caplog.clear()


def test_a_newer_record_is_left_as_it_is(path: Path) -> None:
    write_record(path, RECORD)
    (file,) = records_folder().iterdir()
    newer = msgspec.json.encode({"format": FORMAT + 1})
    file.write_bytes(newer)
    assert read_record(path, "d1") == (None, None)
    write_record(path, RECORD)
    write_record(path, msgspec.structs.replace(RECORD, marked=()))
    assert file.read_bytes() == newer


def test_the_records_that_were_used_last_stay(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_RECORDS", 2)
    for number in range(3):
        write_record(tmp_path / f"{number}.md", msgspec.structs.replace(RECORD, digest=f"d{number}"))
        for age, file in enumerate(records_folder().iterdir()):
            os.utime(file, (age, age) if f"d{number}" not in file.name else None)
    write_record(path, RECORD)
    assert len(list(records_folder().iterdir())) == 2
    assert read_record(path, "d1")[0] == RECORD


def test_a_record_has_none_of_the_words() -> None:
    data = msgspec.json.encode(RECORD)
    assert b"town" not in data
    assert msgspec.json.decode(data, type=Record) == RECORD
