"""Check a model's files against their hashes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from app.models.transfer.progress_reporter import ProgressReporter

CHUNK_BYTES = 1 << 22
_HASH = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")


def expected_hash(folder: Path, name: str, recorded: Mapping[str, str]) -> str:
    """By Mezzotint's own record, or by what the Hub's client leaves; empty where nobody tells."""
    left = folder / ".cache" / "huggingface" / "download" / f"{name}.metadata"
    try:
        etag = left.read_text().splitlines()[1]
    except (OSError, ValueError, IndexError):
        etag = ""
    found = (recorded.get(name, ""), etag, (folder / name).resolve().name)  # its cache: links to hashes
    return next((text for text in found if _HASH.fullmatch(text)), "")


def discard_damaged(folder: Path, hashes: Mapping[str, str], meter: ProgressReporter) -> list[str]:
    """Delete the files that are not what they should be; their names."""
    damaged = [name for name, hash_ in hashes.items() if not _is_right(folder / name, hash_, meter)]
    for name in damaged:
        (folder / name).unlink()
    return damaged


def _is_right(path: Path, expected: str, meter: ProgressReporter) -> bool:
    """expected: the sha256, or git's hash, which is shorter."""
    blob = b"blob %d\0" % path.stat().st_size
    digest = hashlib.sha256() if len(expected) == 64 else hashlib.sha1(blob)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            meter.add(len(chunk))
    return digest.hexdigest() == expected
