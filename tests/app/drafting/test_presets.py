"""The writer's presets, a file each."""

from pathlib import Path

import pytest

from app.drafting.presets import BUILT_IN, Preset, read_presets


def test_the_built_in_ones_are_written_once_and_are_the_writers_then(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "presets"
    names = [preset.name for preset in read_presets(folder)]
    assert names == sorted(BUILT_IN)
    (folder / f"{names[0]}.txt").unlink()
    (folder / f"{names[1]}.txt").write_text("Say no.\nKindly.\n", encoding="utf-8")
    (folder / "My own.txt").write_text("Écris en français.", encoding="utf-8")
    (folder / "notes.md").write_text("no preset", encoding="utf-8")
    found = {preset.name: preset.instruction for preset in read_presets(folder)}
    assert list(found) == [*names[1:], "My own"]
    assert found[names[1]] == "Say no. Kindly."
    assert found["My own"] == "Écris en français."


@pytest.mark.parametrize("data", [b"", b" \n", b"\xff\xfe\xfa", b"a" * 100_000, None])
def test_a_broken_file_is_named_and_the_others_are_there(tmp_path: Path, data: bytes | None) -> None:
    (tmp_path / "good.txt").write_text("Go on.", encoding="utf-8")
    broken = tmp_path / "broken.txt"
    if data is None:
        broken.mkdir()
    else:
        broken.write_bytes(data)
    assert read_presets(tmp_path) == [Preset("broken", ""), Preset("good", "Go on.")]


def test_they_can_be_used_where_none_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    found = read_presets(tmp_path / "file" / "presets")
    assert {preset.name: preset.instruction for preset in found} == BUILT_IN
