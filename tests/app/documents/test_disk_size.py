"""How much files and folders take."""

from __future__ import annotations

import os
from pathlib import Path

from app.documents.disk_size import size_on_disk


def test_a_file_with_several_names_counts_once_and_a_link_does_not_lead_away(tmp_path: Path) -> None:
    outside, folder, more = tmp_path / "outside", tmp_path / "folder", tmp_path / "more"
    outside.write_bytes(b"0" * 1_000_000)
    folder.mkdir()
    more.mkdir()
    (folder / "a").write_bytes(b"0" * 700)
    os.link(folder / "a", more / "b")
    (more / "c").write_bytes(b"0" * 50)
    (more / "led away").symlink_to(outside)
    size = size_on_disk([folder, more, tmp_path / "nowhere"])
    assert size == 750 + (more / "led away").lstat().st_size
    assert size_on_disk([more / "c"]) == 50
    assert size_on_disk([]) == 0
    (tmp_path / "led").symlink_to(more)
    assert size_on_disk([tmp_path / "led"]) == (tmp_path / "led").lstat().st_size
