"""What was drafted is known again when the text is opened, reloaded, restored."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from pytestqt.qtbot import QtBot

from app.documents.document import Document
from app.documents.recovery import RecoveryStore
from app.documents.text import text_between
from app.editor.page import Page
from app.provenance.keeper import ProvenanceKeeper
from app.provenance.paragraphs import UNKNOWN, Run
from app.provenance.store import records_folder
from app.provenance.tracker import Provenance
from engine.protocol.errors import Fault
from tests.app.pages import cursor_at, make_page

DRAFTED = "the harbour lights went out one after another until it was dark"


class Desk:
    """A document in a page, as in one window."""

    def __init__(self, qtbot: QtBot, root: Path) -> None:
        self.page: Page = make_page(qtbot, "")
        self.recovery = RecoveryStore(root)
        self.document = Document(self.page.document(), self.recovery)
        self.provenance = Provenance(self.page.document())
        self.keeper = ProvenanceKeeper(self.provenance, self.document)
        self.faults: list[Fault] = []
        self.document.failed.connect(self.faults.append)

    def draft(self, position: int, text: str = DRAFTED) -> None:
        self.provenance.replace(position, position, text, [Run(0, len(text), "M")])
        cursor_at(self.page, position).insertText(text)

    def owned_by(self, owner: str) -> list[str]:
        document, found = self.page.document(), []
        for number in range(document.blockCount()):
            at = document.findBlockByNumber(number).position()
            runs = [run for run in self.provenance.of(number).runs if run.owner == owner]
            found += [text_between(document, at + run.start, at + run.end) for run in runs]
        return found

    def close(self) -> None:
        self.keeper.close()
        self.document.close()
        self.recovery.close()

    def crash(self) -> None:
        """With what is not saved copied."""
        self.document.keep_copy()
        self.keeper.close()
        self.recovery.close()


Open = Callable[[], Desk]


@pytest.fixture
def open_desk(qtbot: QtBot, tmp_path: Path) -> Open:
    return lambda: Desk(qtbot, tmp_path / "recovery")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ferry.md"


@pytest.fixture
def saved(open_desk: Open, path: Path) -> Path:
    """Drafted between two of the writer's paragraphs."""
    desk = open_desk()
    desk.page.insertPlainText("She waited.\n\nHe came.")
    desk.draft(12)
    desk.document.save(path)
    desk.close()
    return path


def test_it_is_known_when_the_file_is_opened_again(saved: Path, open_desk: Open) -> None:
    desk = open_desk()
    desk.document.show(desk.document.read(saved))
    assert desk.owned_by("M") == [DRAFTED]
    assert desk.owned_by(UNKNOWN) == []
    desk.document.new()
    assert desk.owned_by("M") == []
    desk.close()


@pytest.mark.parametrize("text", ["ferry 🌊\r\n\r\n{}\r\nשלום", "\ufeff{}", "A\r{}\n\u2029B"])
def test_odd_texts_are_known_again(open_desk: Open, path: Path, text: str) -> None:
    before, behind = text.split("{}")
    path.write_bytes((before + behind).encode())
    desk = open_desk()
    desk.document.show(desk.document.read(path))
    number = desk.page.document().blockCount() - behind.count("\n") - behind.count("\u2029") - 1
    desk.draft(desk.page.document().findBlockByNumber(number).position())
    desk.document.save(path)
    desk.close()
    desk = open_desk()
    desk.document.show(desk.document.read(path))
    assert desk.owned_by("M") == [DRAFTED]
    desk.close()


def test_a_copy_and_a_renamed_file_are_known(saved: Path, open_desk: Open) -> None:
    copy = saved.with_name("copy.md")
    copy.write_bytes(saved.read_bytes())
    renamed = saved.rename(saved.with_name("renamed.md"))
    for path in (copy, renamed):
        desk = open_desk()
        desk.document.show(desk.document.read(path))
        assert desk.owned_by("M") == [DRAFTED]
        desk.close()


def test_what_was_changed_elsewhere_is_unknown(saved: Path, open_desk: Open) -> None:
    saved.write_text(saved.read_text().replace("lights", "lamps") + "\nMore.")
    desk = open_desk()
    desk.document.show(desk.document.read(saved))
    assert "".join(desk.owned_by("M")) == DRAFTED.replace("the harbour lights", "")
    assert desk.owned_by(UNKNOWN) == ["the harbour lamps", "More."]
    desk.close()


def test_saved_under_another_name_both_are_known(saved: Path, open_desk: Open) -> None:
    desk = open_desk()
    desk.document.show(desk.document.read(saved))
    desk.draft(0, "and so ")
    desk.document.save(saved.with_name("other.md"), overwrite=True)
    desk.close()
    for path, drafted in ((saved, [DRAFTED]), (saved.with_name("other.md"), ["and so ", DRAFTED])):
        desk = open_desk()
        desk.document.show(desk.document.read(path))
        assert desk.owned_by("M") == drafted
        desk.close()


def test_a_reload_and_its_undoing(saved: Path, open_desk: Open) -> None:
    desk = open_desk()
    desk.document.show(desk.document.read(saved))
    saved.write_text("New.\n" + saved.read_text())
    desk.document.reload(desk.document.read(saved))
    assert (desk.owned_by("M"), desk.owned_by(UNKNOWN)) == ([DRAFTED], ["New."])
    desk.page.undo()
    assert (desk.owned_by("M"), desk.owned_by(UNKNOWN)) == ([DRAFTED], [])
    desk.page.redo()
    assert (desk.owned_by("M"), desk.owned_by(UNKNOWN)) == ([DRAFTED], ["New."])
    desk.page.insertPlainText("Mine ")
    assert (desk.owned_by("M"), desk.owned_by(UNKNOWN)) == ([DRAFTED], ["New."])
    desk.close()


@pytest.mark.parametrize("has_drafts", [False, True])
def test_what_another_window_has_drafted_and_saved_is_known(
    saved: Path, open_desk: Open, has_drafts: bool
) -> None:
    if not has_drafts:
        saved.write_text("All of it\nis the writer’s.")
        for file in records_folder().iterdir():
            file.unlink()
    one, other = open_desk(), open_desk()
    for desk in (one, other):
        desk.document.show(desk.document.read(saved))
    other.draft(0, "drafted beside ")
    other.document.save(saved)
    other.close()
    one.document.reload(one.document.read(saved))
    assert one.owned_by("M") == ["drafted beside ", *[DRAFTED] * has_drafts]
    assert one.owned_by(UNKNOWN) == []
    one.close()


@pytest.mark.parametrize("has_file", [False, True])
def test_it_is_known_after_a_crash(saved: Path, open_desk: Open, has_file: bool) -> None:
    desk = open_desk()
    if has_file:
        desk.document.show(desk.document.read(saved))
    desk.draft(0, "not saved ")
    desk.crash()
    desk = open_desk()
    assert desk.document.left_behind()
    desk.document.restore()
    assert desk.owned_by("M") == ["not saved ", *[DRAFTED] * has_file]
    assert desk.owned_by(UNKNOWN) == []
    desk.close()


def test_a_copy_of_an_earlier_version_is_compared_with_the_file(saved: Path, open_desk: Open) -> None:
    desk = open_desk()
    desk.document.show(desk.document.read(saved))
    cursor_at(desk.page, 0).insertText("Mine, not saved.\n")
    desk.crash()
    (copy,) = (saved.parent / "recovery").glob("*/*.recovery")
    fields = msgspec.json.decode(copy.read_bytes())
    del fields["beside"]
    copy.write_bytes(msgspec.json.encode(fields))
    desk = open_desk()
    assert desk.document.left_behind()
    desk.document.restore()
    assert (desk.owned_by("M"), desk.owned_by(UNKNOWN)) == ([DRAFTED], ["Mine, not saved."])
    desk.close()


def test_a_record_that_cannot_be_read_is_told(
    saved: Path, open_desk: Open, caplog: pytest.LogCaptureFixture
) -> None:
    (file,) = records_folder().iterdir()
    file.write_text("{")
    desk = open_desk()
    desk.document.show(desk.document.read(saved))
    assert [fault.kind for fault in desk.faults] == ["provenance"]
    assert desk.owned_by("M") == []
    desk.close()
    caplog.clear()


def test_a_folder_that_takes_nothing_is_told_once(
    open_desk: Open, path: Path, qtbot: QtBot, caplog: pytest.LogCaptureFixture
) -> None:
    records_folder().parent.mkdir(parents=True, exist_ok=True)
    records_folder().write_text("in the way")
    desk = open_desk()
    desk.draft(0)
    for _ in range(2):
        desk.document.save(path)
    desk.close()
    qtbot.waitUntil(lambda: bool(desk.faults))
    assert [fault.kind for fault in desk.faults] == ["provenance"]
    assert path.read_text() == DRAFTED
    caplog.clear()
