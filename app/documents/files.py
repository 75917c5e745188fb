"""Read and write a text file without losing or changing anything in it."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from PySide6.QtCore import QLockFile

from app.documents.atomic_file import Step, write_atomically
from engine.protocol.errors import FaultError, reason_of

MAX_BYTES = 50 * 2**20
LOCK_BYTES = 2**16
_OTHER_KINDS = {
    ".doc": "a Word document",
    ".docx": "a Word document",
    ".odt": "a LibreOffice document",
    ".pages": "a Pages document",
    ".pdf": "a PDF",
    ".rtf": "a rich text document",
}
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True)
class OpenedFile:
    """A text file as it was read."""

    path: Path
    text: str
    """Line endings as in the file, without the byte-order mark."""
    bom: bool
    digest: str
    """Of the bytes on disk."""


def read(path: Path) -> OpenedFile:
    """Raises FaultError for what is not a UTF-8 text file of at most MAX_BYTES."""
    data = _bytes_of(path)
    _check_kind(path, "is", "Save it there as plain text, and open that.")
    if b"\0" in data:
        raise _fault(
            f"“{path.name}” is not a text file (it has a zero byte at byte {data.index(0):,}).",
            "Open it with the program that made it, or export it from there as plain text.",
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _fault(
            f"“{path.name}” is in an old or foreign encoding (byte {error.start:,} is no UTF-8).",
            "Open it in the program that made it and save it as UTF-8 there; it was left as it is.",
        ) from error
    bom = data.startswith(_BOM)
    return OpenedFile(path=path, text=text[1:] if bom else text, bom=bom, digest=_digest(data))


def new(path: Path) -> OpenedFile:
    """The empty text of a file to be. Raises FaultError where it could not be saved."""
    _check_writable(path, "Give it another name, or choose another folder.")
    return OpenedFile(path=path, text="", bom=False, digest=_digest(b""))


def never_was(path: Path, digest: str | None) -> bool:
    """Whether a text of that digest is for a file that is still to be."""
    return digest == _digest(b"") and not os.path.lexists(path)


def write(
    path: Path,
    text: str,
    *,
    bom: bool = False,
    expected_digest: str | None = None,
    before_in_place: Step | None = None,
) -> str:
    """Put the text in the file's place at once or not at all, and return its digest.

    What read() refuses is not written. text: line endings as they shall be in the file; zero bytes and lone
    surrogates, which UTF-8 has no place for, become U+FFFD. expected_digest: of the bytes that may be
    replaced; None replaces whatever is there. before_in_place: see write_atomically. Raises FaultError,
    with the old file intact.
    """
    data = _BOM * bom + _utf8(text)
    _check_writable(path, "Save it under another name or in another folder; your text is still here.")
    _check_size(path, len(data))

    def check() -> None:
        if expected_digest is not None and path.exists() and digest_on_disk(path) != expected_digest:
            raise FaultError(
                "changed-on-disk",
                f"“{path.name}” was changed by another program since you opened it.",
                "Save your text under another name, or replace the file if you are sure.",
            )

    try:
        write_atomically(path, data, check, before_in_place)
    except (OSError, ValueError) as error:  # ValueError: no copy of lone surrogates
        raise _unwritable(path, error) from error
    return _digest(data)


def digest_on_disk(path: Path) -> str:
    """Raises FaultError where the file cannot be read."""
    return _digest(_bytes_of(path))


def lock(path: Path) -> QLockFile | None:
    """Held until it is dropped, None while another window holds it. Raises OSError where none can be kept."""
    folder = platformdirs.user_state_path("mezzotint", appauthor=False) / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return held_lock(folder / f"{_digest(os.fsencode(path.resolve()))[:32]}.lock")


def held_lock(path: Path) -> QLockFile | None:
    """The lock, or None while a living process holds it. Raises OSError where no lock can be kept."""
    if path.exists() and not path.is_file():  # QLockFile would wait for a pipe
        raise OSError(f"no lock can be kept at {path}")
    result = QLockFile(str(path))
    result.setStaleLockTime(0)
    # Asks the system, which knows whether a holder lives; process ids are used again, in sandboxes at once.
    result.removeStaleLockFile()
    if result.tryLock(0):
        return result
    if result.error() is QLockFile.LockError.LockFailedError:
        return None
    path.open("ab").close()  # raises what Qt does not tell
    free = shutil.disk_usage(path.parent).free
    number = errno.ENOSPC if free < LOCK_BYTES else errno.EIO
    raise OSError(number, f"no lock can be kept at {path}: {result.error().name}")


def check_text(path: Path) -> None:
    """Raises FaultError for a path that is no text: Qt takes none, and no other process can be told it."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = str(path).encode(errors="replace").decode()
        message = f"The name of “{shown}” has characters that cannot be read."
        raise _fault(message, "Rename it, or the folder it lies in, and open it again.") from error


def _bytes_of(path: Path) -> bytes:
    check_text(path)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise _fault(f"“{path.name}” is a folder.", "Choose a file in it.")
        if not stat.S_ISREG(status.st_mode):
            raise _fault(f"“{path.name}” is not an ordinary file.", "Choose a text file.")
        _check_size(path, status.st_size)
        return path.read_bytes()
    except FileNotFoundError as error:
        moved = "It may have been moved or renamed; look for it and open it again."
        raise _fault(f"“{path}” is not there.", moved) from error
    except PermissionError as error:
        ask = "Ask its owner, or copy it to a folder of your own."
        raise _fault(f"You have no permission to read “{path}”.", ask) from error
    except (OSError, ValueError) as error:
        reason, remedy = reason_of(error)
        raise _fault(
            f"“{path}” could not be read: {reason}.", remedy or "Check the disk and try again."
        ) from error


def _check_kind(path: Path, verb: str, remedy: str) -> None:
    if kind := _OTHER_KINDS.get(path.suffix.lower()):
        raise _fault(f"“{path.name}” {verb} {kind}.", remedy)


def _check_size(path: Path, size_bytes: int) -> None:
    if size_bytes > MAX_BYTES:
        size, limit = f"{size_bytes / 2**20:,.0f} MB", f"{MAX_BYTES // 2**20} MB"
        raise _fault(f"“{path.name}” has {size}; the limit is {limit}.", "Split it into smaller files.")


def _check_writable(path: Path, elsewhere: str) -> None:
    """elsewhere: the remedy."""
    check_text(path)
    _check_kind(path, "would be", "Choose a name that ends in .md or .txt.")
    try:
        if path.is_dir():
            raise _fault(f"“{path.name}” is a folder.", elsewhere)
        if not path.parent.is_dir():
            raise _fault(f"The folder “{path.parent}” is not there.", elsewhere)
        if not path.exists():
            if not os.access(path.parent, os.W_OK):
                raise _fault(f"You have no permission to write to the folder “{path.parent}”.", elsewhere)
        elif not (path.stat().st_mode & 0o222 and os.access(path, os.W_OK)):
            raise _fault(f"“{path.name}” is read-only.", elsewhere)
    except OSError as error:  # a name that is too long, say
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: Exception) -> FaultError:
    reason, remedy = reason_of(error)
    remedy = remedy or "Save it in another folder."
    return _fault(f"“{path.name}” could not be saved: {reason}.", f"{remedy} Your text is still here.")


def _fault(message: str, remedy: str) -> FaultError:
    return FaultError("document", message, remedy)


def _utf8(text: str) -> bytes:
    text = text.replace("\0", "\ufffd")
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode("utf-8")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
