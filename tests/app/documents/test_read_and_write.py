"""Text files: what is read and written, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtGui import QTextDocument

from app.documents import files
from app.documents.text import document_text, set_document_text
from engine.protocol.errors import FaultError


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xef\xbb\xbf",
        b"\xef\xbb\xbfa\r\nb",
        2 * b"\xef\xbb\xbf" + b"a",
        "é\n\u00a0\u2028\r".encode(),
        b"a\r\n\n\r",
    ],
)
def test_an_unedited_file_stays_byte_identical(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    opened = files.read(path)
    document = QTextDocument()
    set_document_text(document, opened.text)
    digest = files.write(path, document_text(document), bom=opened.bom, expected_digest=opened.digest)
    assert path.read_bytes() == data
    assert digest == opened.digest == files.digest_on_disk(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"abc\xff\xfe", "byte 3 is no UTF-8"),
        (b"caf\xe9 noir", "byte 3 is no UTF-8"),
        (b"a\0b", "zero byte at byte 1"),
        ("utf-16".encode("utf-16"), "not a text file"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(data)
    with pytest.raises(FaultError, match=message) as caught:
        files.read(path)
    assert "bad.txt" in caught.value.fault.message
    assert caught.value.fault.remedy
    assert path.read_bytes() == data


@pytest.mark.parametrize(("name", "kind"), [("a.DOCX", "a Word document"), ("a.rtf", "a rich text document")])
def test_a_document_of_another_kind_is_named(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).write_bytes(b"{\\rtf1 text}")
    with pytest.raises(FaultError, match=kind):
        files.read(tmp_path / name)


def test_faults_of_reading_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FaultError, match="not there"):
        files.read(tmp_path / "gone.txt")
    with pytest.raises(FaultError, match="is a folder"):
        files.read(tmp_path)
    with pytest.raises(FaultError, match="not an ordinary file"):
        files.read(Path("/dev/null"))
    with pytest.raises(FaultError, match="could not be read"):
        files.read(Path("bad\0name"))
    with pytest.raises(FaultError, match=r"characters that cannot be read") as caught:
        files.read(tmp_path / "caf\udce9.txt")
    caught.value.fault.message.encode()
    with pytest.raises(FaultError, match=r"characters that cannot be read"):
        files.write(tmp_path / "caf\udce9.txt", "text")
    assert files.lock(tmp_path / "caf\udce9.txt") is not None
    monkeypatch.setattr(files, "MAX_BYTES", 3)
    (tmp_path / "large.txt").write_bytes(b"four")
    with pytest.raises(FaultError, match="limit"):
        files.read(tmp_path / "large.txt")


def test_a_file_changed_by_another_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("mine")
    digest = files.read(path).digest
    path.write_text("theirs")
    with pytest.raises(FaultError, match="was changed by another program"):
        files.write(path, "mine, longer", expected_digest=digest)
    assert path.read_text() == "theirs"
    assert [entry.name for entry in tmp_path.glob("a*")] == ["a.txt"]
    files.write(path, "mine, longer")
    assert path.read_text() == "mine, longer"


def test_a_vanished_file_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write(path, "text", expected_digest="of a file that is gone")
    assert path.read_text() == "text"


def test_faults_of_writing_leave_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o444)
    with pytest.raises(FaultError, match="read-only"):
        files.write(path, "new")
    assert path.read_text() == "old"
    with pytest.raises(FaultError, match="is a folder"):
        files.write(tmp_path, "new")
    with pytest.raises(FaultError, match="not there"):
        files.write(tmp_path / "gone" / "a.txt", "new")


@pytest.mark.parametrize("name", ["a.docx", "a.DOC", "a.odt", "a.pages", "a.pdf", "a.rtf"])
def test_what_may_not_be_opened_is_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(FaultError):
        files.write(tmp_path / name, "text")
    assert not (tmp_path / name).exists()


def test_a_text_too_large_to_be_opened_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 3)
    with pytest.raises(FaultError):
        files.write(tmp_path / "a.txt", "four")
    assert not (tmp_path / "a.txt").exists()
    files.write(tmp_path / "a.txt", "txt")


def test_a_zero_byte_does_not_make_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    files.write(tmp_path / "a.txt", "a\0b")
    assert files.read(tmp_path / "a.txt").text == "a\ufffdb"


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    resource = pytest.importorskip("resource", reason="no way to limit a file's size here")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(FaultError, match="could not be saved"):
            files.write(path, "new " * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.glob("a*")] == ["a.txt"]


def test_a_name_that_is_too_long_is_told_when_it_is_opened(tmp_path: Path) -> None:
    with pytest.raises(FaultError, match="its name is too long"):
        files.read(tmp_path / ("x" * 300 + ".md"))


def test_permissions_and_links_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o640)
    link = tmp_path / "link.txt"
    link.symlink_to(path)
    files.write(link, "new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640


def test_lone_surrogates_do_not_stop_a_save(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write(path, "a\ud800b \ud83d\ude00")
    assert path.read_text("utf-8") == "a\ufffdb \U0001f600"
