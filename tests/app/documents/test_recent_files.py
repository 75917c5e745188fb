"""The list of the files that were open last."""

from pathlib import Path

import pytest

from app.documents.recent_files import MOST, RecentFile, RecentFiles


def files(folder: Path, count: int) -> list[Path]:
    made = [folder / f"{number}.md" for number in range(count)]
    for path in made:
        path.write_text("x", encoding="utf-8")
    return made


def test_the_newest_come_first_and_those_that_are_gone_are_left_out(tmp_path: Path) -> None:
    recent, made = RecentFiles(), files(tmp_path, MOST + 2)
    for caret, path in enumerate(made):
        recent.put(path, caret)
    recent.put(made[5], 7)
    made[-1].unlink()
    again = RecentFiles().all()
    assert [Path(one.path) for one in again] == [made[5], made[-2], *made[9:5:-1], *made[4:1:-1]]
    assert RecentFiles().caret_in(made[5]) == 7
    recent.clear()
    assert RecentFiles().all() == []


@pytest.mark.parametrize("damage", [b"", b"[1]", b'{"path": 1}', b"\xff"])
def test_a_damaged_list_is_an_empty_one(tmp_path: Path, damage: bytes) -> None:
    kept = tmp_path / "recent.json"
    kept.write_bytes(damage)
    recent = RecentFiles(kept)
    assert recent.all() == []
    recent.put(files(tmp_path, 1)[0], 3)
    assert RecentFiles(kept).all() == [RecentFile(str(tmp_path / "0.md"), 3)]


def test_what_cannot_be_written_holds_for_this_run(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    recent = RecentFiles(blocked / "recent.json")
    recent.put(files(tmp_path, 1)[0], 3)
    recent.put(Path("/no text \udcff"), 0)
    assert [one.caret for one in recent.all()] == [3]
