"""What a newer version has written is told, and is afterwards as it was before."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from app.documents.recent_files import RecentFile, RecentFiles
from app.documents.recovery import RecoveryCopy, RecoveryStore
from app.history.schema import VERSION, database_path, history_folder, open_database
from app.models.download_queue import DownloadQueue
from app.models.transfer.file_names import RECORD
from app.models.transfer.installation import InstallRecord, partial, read_record, write_record
from app.provenance.store import records_folder
from app.settings.store import SettingsStore, default_path
from app.support.newer_data import NewerDataNotice, newer_data
from app.widgets.message_bar import MessageBar
from engine.checkpoints.catalogue import GEMMA_26B, models_folder
from engine.installation import ACTIVE_FILE, engine_home
from engine.protocol.errors import FaultError
from engine.protocol.file_format import NewerFormatError, check_format
from tests.app.conftest import Emitted, Run

NEWER = b'{"format": 999, "theme": "dark", "path": null, "bom": false, "digest": null, "text": "Clara"}'


def put(path: Path, data: bytes = NEWER) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "data", [b"", b"[1]", b"{", b'{"format": "x"}', b"{}", b'{"format": 1}', b"[" * 10**5]
)
def test_what_is_old_or_damaged_is_not_newer(data: bytes) -> None:
    check_format(data, 1)


def test_a_number_above_the_known_one_is_newer() -> None:
    check_format(NEWER, 999)
    with pytest.raises(NewerFormatError):
        check_format(NEWER, 998)


def test_newer_settings_are_neither_used_nor_written_over(qapp: object, own_folders: Path) -> None:
    file = put(default_path())
    settings = SettingsStore(default_path())
    assert settings.set_aside is None
    settings.change(theme="sepia")
    assert settings.current.theme == "sepia"
    assert file.read_bytes() == NEWER
    assert list(file.parent.iterdir()) == [file]


def test_settings_without_a_number_are_read_and_get_one(qapp: object) -> None:
    file = put(default_path(), b'{"theme": "dark"}')
    settings = SettingsStore(default_path())
    assert settings.current.theme == "dark"
    settings.change(font_size_px=22)
    assert msgspec.json.decode(file.read_bytes())["format"] == 1


def test_a_newer_copy_stays_and_the_others_are_offered(qapp: object, own_folders: Path) -> None:
    folder = own_folders / "state" / "mezzotint" / "recovery" / "a"
    newer = put(folder / "a.recovery")
    put(folder / "b.recovery", b'{"path": null, "bom": false, "digest": null, "text": "as it was first"}')
    store = RecoveryStore()
    assert [left.copy.text for left in store.pending()] == ["as it was first"]
    store.close()
    assert newer.read_bytes() == NEWER


def test_a_copy_tells_its_format() -> None:
    copy = RecoveryCopy(path=None, bom=False, digest=None, text="")
    assert msgspec.json.decode(msgspec.json.encode(copy))["format"] == 1


def test_a_newer_list_of_recent_files_stays(tmp_path: Path) -> None:
    kept, opened = put(tmp_path / "recent.json"), put(tmp_path / "ferry.md")
    recent = RecentFiles(kept)
    recent.put(opened, 3)
    assert recent.all() == [RecentFile(str(opened), 3)]  # for this run
    recent.clear()
    RecentFiles(kept).clear()
    assert kept.read_bytes() == NEWER


@pytest.mark.parametrize(
    "begin",
    [
        lambda queue, _: queue.download(GEMMA_26B.source),
        lambda queue, source: queue.import_model(source, GEMMA_26B.name),
    ],
    ids=["download", "import"],
)
def test_a_newer_download_stays(
    qapp: object, tmp_path: Path, begin: Callable[[DownloadQueue, Path], object]
) -> None:
    record = put(partial(GEMMA_26B.folder) / RECORD)
    queue = DownloadQueue()
    assert queue.items == []
    with pytest.raises(FaultError, match="newer version"):
        begin(queue, tmp_path)
    queue.close()
    assert record.read_bytes() == NEWER
    assert read_record(record.parent) is None


def test_a_record_without_a_number_is_read(tmp_path: Path) -> None:
    put(tmp_path / RECORD, b'{"repo": "a/b"}')
    assert read_record(tmp_path) == InstallRecord(repo="a/b")
    write_record(tmp_path, InstallRecord(repo="c/d"))
    assert msgspec.json.decode((tmp_path / RECORD).read_bytes())["format"] == 1


def test_a_newer_history_is_told_and_stays() -> None:
    path = database_path(history_folder())
    open_database(path).close()
    assert newer_data() == []
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {VERSION + 1}")
    database.close()
    before = path.read_bytes()
    assert newer_data() == ["the history of your drafts"]
    assert path.read_bytes() == before


def test_all_of_it_is_told_in_one_message(run: Run, emitted: Emitted, own_folders: Path) -> None:
    put(default_path())
    for name in "ab":
        put(own_folders / "state" / "mezzotint" / "recovery" / name / "a.recovery")
    put(models_folder() / "gemma.partial" / RECORD)
    put(records_folder() / "0a-0b.json")
    put(engine_home() / ACTIVE_FILE)
    pressed: list[bool] = []

    async def scenario() -> str:
        bar = MessageBar()
        notice = NewerDataNotice(bar, ("Look for a new version", lambda: pressed.append(True)), bar)
        await asyncio.gather(emitted(notice.call.returned))
        bar.buttons[0].click()
        return bar.text

    told = run(scenario())
    for words in (
        "your settings, 2 texts",
        "what was drafted in a text, the engine and a model’s download",
        "until you quit",
    ):
        assert words in told
    assert pressed == [True]


def test_without_newer_data_nothing_is_told(run: Run, emitted: Emitted) -> None:
    assert newer_data() == []

    async def scenario() -> bool:
        bar = MessageBar()
        await emitted(NewerDataNotice(bar, ("", bool), bar).call.returned)
        return bool(bar.isHidden())

    assert run(scenario())
