"""The dialog lists each part with its size, and hands on what is ticked."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.support.own_data import DataPart
from app.support.removal_dialog import RemovalDialog


@pytest.fixture
def parts(tmp_path: Path) -> list[DataPart]:
    (tmp_path / "models").write_bytes(b"x" * 3_000_000)
    (tmp_path / "texts").write_bytes(b"x" * 1000)
    return [
        DataPart(label="models", paths=(tmp_path / "models",)),
        DataPart(label="engine", paths=(tmp_path / "engine",)),
        DataPart(label="texts", paths=(tmp_path / "texts",), is_writers=True),
    ]


@pytest.fixture
def dialog(qtbot: QtBot, parts: list[DataPart]) -> RemovalDialog:
    """With the sizes counted."""
    made = RemovalDialog(parts, "Remove", None)
    with qtbot.waitSignal(made.call.returned):
        made.show()
    return made


def test_sizes_are_shown_and_the_writers_own_is_not_ticked(dialog: RemovalDialog) -> None:
    assert {label: size.text() for label, size in dialog.sizes.items()} == {
        "models": "3 MB",
        "engine": "none",
        "texts": "less than 1 MB",
    }
    ticked = {label: (box.isEnabled(), box.isChecked()) for label, box in dialog.boxes.items()}
    assert ticked == {"models": (True, True), "engine": (False, False), "texts": (True, False)}
    assert not dialog.remove_button.isDefault()
    assert not dialog.remove_button.autoDefault()
    dialog.reject()


def test_what_is_ticked_is_handed_on(dialog: RemovalDialog, parts: list[DataPart]) -> None:
    chosen: list[DataPart] = []
    dialog.chosen.connect(chosen.extend)
    dialog.boxes["models"].setChecked(False)
    assert not dialog.remove_button.isEnabled()
    dialog.boxes["texts"].setChecked(True)
    dialog.remove_button.click()
    assert chosen == [parts[2]]
    assert parts[0].paths[0].exists()  # it only asks
