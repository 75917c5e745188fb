from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytestqt.qtbot import QtBot

from app.settings.schema import Settings, from_stored, label, limits, problem
from app.settings.store import SettingsStore, default_path

NAMES = list(Settings.__dataclass_fields__)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def test_two_windows_keep_each_other_s_settings(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    one, two = SettingsStore(path), SettingsStore(path)
    one.change(theme="dark", font_size_px=28)
    two.change(panel_open=True)
    assert SettingsStore(path).current == Settings(theme="dark", font_size_px=28, panel_open=True)
    assert two.current == Settings(panel_open=True)


@pytest.mark.parametrize("left", [None, b"{"])
def test_a_file_that_is_lost_meanwhile_costs_nothing(
    tmp_path: Path, left: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "settings.json"
    store = SettingsStore(path, device="cpu")
    store.change(theme="dark", font_size_px=28)
    path.unlink()
    if left:
        path.write_bytes(left)
    store.change(panel_open=True)
    caplog.clear()
    assert SettingsStore(path).current == Settings(theme="dark", font_size_px=28, panel_open=True)


def all_valid(settings: Settings) -> bool:
    return all(problem(name, getattr(settings, name)) is None for name in NAMES)


@given(st.dictionaries(st.sampled_from(NAMES), JUNK) | JUNK)
def test_settings_survive_any_junk(junk: object) -> None:
    logging.disable()
    try:
        assert all_valid(from_stored(junk))
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"seed": ' + b"9" * 5000 + b"}", b"[" * 100_000, b"\0"]
)
def test_a_damaged_file_gives_the_defaults(
    tmp_path: Path, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(data)
    assert SettingsStore(path).current == Settings()
    assert len(caplog.records) == 1
    caplog.clear()


@pytest.mark.parametrize("data", [b"{", b"", b"[]", b"\xff\xfe", b'{"theme": "dark"} // mine'])
def test_a_damaged_file_is_kept_and_told_once(
    tmp_path: Path, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "settings.json"
    for number in ("", "1", "2"):
        path.write_bytes(data)
        store = SettingsStore(path)
        assert store.set_aside is not None
        store.change(theme="light")
        assert (tmp_path / f"settings.json.unreadable{number}").read_bytes() == data
    again = SettingsStore(path)
    assert again.set_aside is None
    assert again.current == Settings(theme="light")
    caplog.clear()


def test_a_file_that_may_not_be_read_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"theme": "dark"}')

    def refuse(_: Path) -> bytes:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)  # root may read all
        store = SettingsStore(path)
    assert store.set_aside is not None
    store.change(theme="light")
    assert json.loads((tmp_path / "settings.json.unreadable").read_bytes()) == {"theme": "dark"}
    caplog.clear()


def test_a_file_damaged_meanwhile_is_kept_and_told(
    qtbot: QtBot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "settings.json"
    store = SettingsStore(path)
    path.write_bytes(b"{")
    with qtbot.waitSignal(store.failed):
        store.change(theme="dark")
    assert (tmp_path / "settings.json.unreadable").read_bytes() == b"{"
    assert SettingsStore(path).current == Settings(theme="dark")
    caplog.clear()


def test_a_file_that_is_missing_is_nothing_to_tell(tmp_path: Path) -> None:
    assert SettingsStore(tmp_path / "settings.json").set_aside is None


def test_one_bad_value_costs_only_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"max_steps": 999, "length": 3, "theme": "pink", "of_the_future": 1}))
    assert SettingsStore(path).current == Settings(length=3)
    assert [record.getMessage() for record in caplog.records] == [
        "Steps: 999 will not do. Expected `int` <= 128. The default is used: None.",
        "Theme: 'pink' will not do. Invalid enum value 'pink'. The default is used: 'system'.",
    ]
    caplog.clear()


@pytest.mark.parametrize(
    ("stored", "length", "canvases", "extent"),
    [
        ({"canvases": 3}, 3, 3, "paragraphs"),
        ({"canvases": 1}, 1, 1, "paragraph"),
        ({"canvases": 3, "length": 0}, 0, 1, "sentence"),
        ({}, 1, 1, "paragraph"),
    ],
)
def test_a_file_of_before_has_its_length(
    tmp_path: Path, stored: dict[str, int], length: int, canvases: int, extent: str
) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(stored))
    settings = SettingsStore(path).current
    assert (settings.length, settings.canvases, settings.extent) == (length, canvases, extent)


def test_a_change_is_told_and_kept(qtbot: QtBot, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "settings.json"
    store = SettingsStore(path)
    with qtbot.waitSignal(store.changed) as told:
        store.change(max_steps=12, device="cuda:0", seed=2**63 - 1, t_min=0.25)
    expected = Settings(max_steps=12, device="cuda:0", seed=2**63 - 1, t_min=0.25)
    assert told.args == [expected]
    assert store.current == SettingsStore(path).current == expected
    with qtbot.assertNotEmitted(store.changed):
        store.change(max_steps=12)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_steps", 0),
        ("max_steps", 129),
        ("max_steps", True),
        ("length", 5),
        ("length", 2.0),
        ("seed", -1),
        ("seed", 2**63),
        ("context_tokens", 255),
        ("t_min", float("nan")),
        ("entropy_bound", float("inf")),
        ("device", ""),
        ("theme", "pink"),
        ("nonsense", 1),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(tmp_path: Path, name: str, value: object) -> None:
    store = SettingsStore(tmp_path / "settings.json")
    with pytest.raises(ValueError, match="nonsense" if name == "nonsense" else label(name)):
        store.change(**{name: value})
    assert store.current == Settings()


def test_an_unwritable_disk_is_told_and_the_change_holds(
    qtbot: QtBot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    store = SettingsStore(tmp_path / "file" / "settings.json")
    caplog.clear()
    with qtbot.waitSignal(store.failed) as told:
        store.change(length=2)
    assert told.args is not None
    assert "settings.json" in told.args[0].message
    assert store.current.length == 2
    assert "could not be saved" in caplog.text
    caplog.clear()


def test_every_setting_has_a_label_and_a_valid_default() -> None:
    assert all(label(name) != name for name in NAMES)
    assert all_valid(Settings())
    assert limits("max_steps") == (1, 128)
    assert limits("font_size_px") == (12, 40)


def test_the_file_lies_in_the_users_configuration_folder(own_folders: Path) -> None:
    assert default_path().is_relative_to(own_folders)
