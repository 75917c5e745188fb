"""What is installed, and how it is taken away."""

from __future__ import annotations

import errno
import json
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.models import library
from app.models.download_queue import folder_of
from app.models.transfer import installation
from app.models.transfer.file_names import RECORD, TRASH, plain_name
from engine.checkpoints.catalogue import GEMMA_26B, STARTER, models_folder, packed_models_folder
from engine.checkpoints.checkpoint import Checkpoint
from engine.checkpoints.files import free_bytes, packed_copy_folder
from engine.protocol.errors import FaultError
from tests.app.models.hub_server import INDEX, WEIGHTS, make_model


def test_the_catalogues_models_the_downloaded_and_the_added(own_folders: Path) -> None:
    record = installation.InstallRecord(repo="someone/tuned", revision="a" * 40, licence="mit")
    known = make_model(GEMMA_26B.folder)
    tuned = make_model(models_folder() / "someone--tuned", record)
    added = make_model(own_folders / "stick" / "mine")
    starter, *others = library.local_models([added])
    assert (starter.model, starter.folder, starter.removable) == (STARTER.name, STARTER.folder, False)
    assert [(m.model, m.label, m.licence, m.repo, m.removable) for m in others] == [
        (GEMMA_26B.name, GEMMA_26B.label, "Apache-2.0", "", True),
        (str(tuned), "someone/tuned", "mit", "someone/tuned", True),
        (str(added), "mine", "", "", False),
    ]
    assert [m.problem for m in (starter, *others)] == [""] * 4
    assert others[0].licence_file == known / "LICENSE"
    own = sum(file.stat().st_size for file in added.iterdir())
    assert others[2].size_bytes == own
    packed = packed_copy_folder(added, "4-bit", packed_models_folder())
    packed.mkdir(parents=True)
    (packed / "model.safetensors").write_bytes(b"1234")
    assert library.local_models([added])[-1].size_bytes == own + 4


def test_a_model_that_is_not_whole_is_listed_with_its_problem(own_folders: Path) -> None:
    cut = make_model(models_folder() / "cut") / WEIGHTS
    cut.write_bytes(cut.read_bytes()[:-1])
    gone = own_folders / "unplugged"
    problems = {m.folder.name: m.problem for m in library.local_models([gone]) if m.problem}
    assert set(problems) == {"cut", "unplugged"}
    assert WEIGHTS in problems["cut"]
    assert "is gone" in problems["unplugged"]


def test_a_model_that_another_program_packed_is_listed_with_its_problem(own_folders: Path) -> None:
    folder = make_model(models_folder() / "packed")
    config = json.loads((folder / "config.json").read_bytes())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (folder / "config.json").write_text(json.dumps(config))
    _, model = library.local_models()
    assert "Another program packed" in model.problem


def test_what_is_not_a_model_or_not_yet_or_no_longer_one_is_left_out() -> None:
    root = models_folder()
    make_model(installation.partial(root / "coming"))
    make_model(root / f"{TRASH}1")
    (root / "notes").mkdir()
    (root / "file").write_text("")
    assert [m.folder for m in library.local_models()] == [STARTER.folder]


def test_a_folder_that_nobody_may_look_into_hides_no_other(
    own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale, original = own_folders / "server" / "mine", Path.is_dir

    def is_dir(path: Path) -> bool:
        if path == stale:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        return original(path)

    monkeypatch.setattr(Path, "is_dir", is_dir)
    starter, lost = library.local_models([stale])
    assert starter.problem == ""
    assert lost.problem == f"The folder “{stale}” cannot be read: Transport endpoint is not connected."
    assert not lost.removable


@pytest.mark.parametrize(
    ("shut", "left"),
    [("data", {"starter"}), ("models", {"starter"}), ("tuned", {"starter", GEMMA_26B.name})],
)
def test_what_may_not_be_looked_into_silences_no_look(
    shut: str, left: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This user may look into everything, so the system's answer is played."""
    tuned = make_model(models_folder() / "tuned")
    make_model(GEMMA_26B.folder)
    folder = {"data": models_folder().parent, "models": models_folder(), "tuned": tuned}[shut]
    original = os.stat

    def stat(path: int | str | Path, **options: Any) -> os.stat_result:
        if not isinstance(path, int) and folder in Path(path).parents:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return original(path, **options)

    monkeypatch.setattr(os, "stat", stat)
    models = library.local_models()
    assert {model.model for model in models if not model.problem} == left
    assert library.licence_in(tuned) is None
    assert not library.is_whole(tuned)
    assert free_bytes(tuned / "more")


def test_a_removed_model_is_gone_with_its_bytes() -> None:
    folder = make_model(models_folder() / "old")
    (model,) = (m for m in library.local_models() if m.folder == folder)
    library.remove(model)
    assert not folder.exists()
    trash = [*folder.parent.iterdir()]
    assert all(path.name.startswith(TRASH) for path in trash)


def test_a_removed_model_takes_its_packed_copies_along() -> None:
    folder = make_model(models_folder() / "old [1]")
    other = make_model(models_folder() / "other" / folder.name)
    copies = [
        packed_copy_folder(folder, precision, packed_models_folder())
        for precision in ("4-bit", "4-bit-tight")
    ]
    kept = packed_copy_folder(other, "4-bit", packed_models_folder())
    for copy in (*copies, kept):
        copy.mkdir(parents=True)
    (model,) = (m for m in library.local_models() if m.folder == folder)
    library.remove(model)
    assert [copy for copy in (*copies, kept) if copy.exists()] == [kept]


def test_discarding_gives_the_space_back_and_so_does_the_next_start() -> None:
    folder = make_model(models_folder() / "old")
    installation.move_to_trash(folder).join()
    assert [*folder.parent.iterdir()] == []
    left = make_model(folder.parent / f"{TRASH}left")
    for thread in installation.purge_trash(folder.parent):
        thread.join()
    assert not left.exists()


class AtLast(threading.Thread):
    """Does nothing until somebody waits for it."""

    def start(self) -> None: ...

    def join(self, *_: object, **__: object) -> None:
        self.run()


def test_what_a_model_replaces_is_gone_when_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that puts it there ends at once."""
    monkeypatch.setattr(threading, "Thread", AtLast)
    folder = make_model(models_folder() / "mine")
    make_model(installation.partial(folder))
    installation.install(folder)
    assert [*folder.parent.iterdir()] == [folder]
    assert library.is_whole(folder)


def test_a_link_to_nowhere_is_replaced() -> None:
    folder = models_folder() / "mine"
    make_model(installation.partial(folder))
    folder.symlink_to("nowhere")
    installation.install(folder)
    assert library.is_whole(folder)
    assert [*folder.parent.iterdir()] == [folder]


def test_only_mezzotints_own_folders_are_removed(own_folders: Path) -> None:
    added = make_model(own_folders / "mine")
    model = library.local_models([added])[-1]
    for wrong in (model, replace(model, removable=True), library.local_models()[0]):
        with pytest.raises(FaultError):
            library.remove(wrong)
    assert (added / WEIGHTS).exists()
    assert STARTER.installed


def test_a_folder_that_was_moved_to_another_disk_by_hand_loses_only_its_link(own_folders: Path) -> None:
    elsewhere = make_model(own_folders / "big disk" / "gemma")
    link = models_folder() / "gemma"
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    (model,) = (m for m in library.local_models() if m.folder == link)
    assert model.problem == ""
    installation.move_to_trash(model.folder).join()
    assert [*link.parent.iterdir()] == []
    assert (elsewhere / WEIGHTS).exists()


def test_what_somebody_else_has_removed_is_removed() -> None:
    installation.move_to_trash(models_folder() / "gone").join()


def test_a_folder_that_cannot_be_moved_stays_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_model(models_folder() / "busy")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "The file is in use")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(FaultError, match="in use"):
        installation.move_to_trash(folder)
    assert (folder / WEIGHTS).exists()


def test_a_record_is_not_written_again_where_it_stands(tmp_path: Path) -> None:
    """A write that is cut short would lose the bytes that it speaks for."""
    record = installation.InstallRecord(repo="a/b", revision="c")
    installation.write_record(tmp_path, record)
    before = (tmp_path / RECORD).stat().st_mtime_ns
    installation.write_record(tmp_path, record)
    assert (tmp_path / RECORD).stat().st_mtime_ns == before


@pytest.mark.parametrize("junk", [b"", b"{", b"[]", b'{"repo": 1}', b"\xff"])
def test_a_damaged_record_is_none(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / RECORD).write_bytes(junk)
    assert installation.read_record(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("gemma-4.safetensors", True),
        ("Großes Modell", True),
        ("", False),
        (".", False),
        ("..", False),
        (".trash-1", False),
        ("a/b", False),
        ("/a", False),
        ("a\\b", False),
        ("C:a", False),
        ("a\nb", False),
        ("a.partial", False),
        ("a.", False),
        ("half \ud800", False),
        ("a.PARTIAL", False),
        ("a.lock", False),
        ("a ", False),
        ("aux", False),
        ("NUL.safetensors", False),
        ("com1", False),
        ("LPT³.txt", False),
        ("con .x", False),
        ("com", True),
        ("com10", True),
        ("auxiliary", True),
        ("lock", True),
    ],
)
def test_names_from_elsewhere(name: str, plain: bool) -> None:
    assert plain_name(name) is plain


def test_where_a_repository_goes() -> None:
    assert folder_of("google/DiffusionGemma-26B-A4B-it") == GEMMA_26B.folder
    assert folder_of("someone/tuned").name == "someone--tuned"
    assert models_folder() == GEMMA_26B.folder.parent


def test_what_was_looked_at_once_is_not_read_again_until_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_model(models_folder() / "mine")
    assert library.is_whole(folder)
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "open", lambda _folder: pytest.fail("read again"))
        assert library.is_whole(folder)
        assert [model.problem for model in library.local_models() if model.folder == folder] == [""]
    (folder / "tokenizer.json").write_text("{")
    assert not library.is_whole(folder)
    (folder / "tokenizer.json").unlink()
    assert not library.is_whole(folder)


def test_weights_that_lie_elsewhere_count_and_what_lies_deeper_does_not(own_folders: Path) -> None:
    folder = make_model(own_folders / "mine")
    (folder / "notes").mkdir()
    (folder / "notes" / "notes.txt").write_text("Not the model's.")
    (folder / "sub").mkdir()
    deeper = (folder / WEIGHTS).rename(folder / "sub" / WEIGHTS)
    (folder / INDEX).write_text(json.dumps({"weight_map": {"layer.0": f"sub/{WEIGHTS}"}}))
    model = library.local_models([folder])[-1]
    assert model.problem == ""
    own = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    assert model.size_bytes == own + deeper.stat().st_size
    deeper.write_bytes(deeper.read_bytes()[:-1])
    assert "damaged" in library.local_models([folder])[-1].problem
