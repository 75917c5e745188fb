"""How much files and folders take on the disk."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path


def size_on_disk(paths: Iterable[Path]) -> int:
    """In bytes. A file with several names counts once; links are not followed; what cannot be looked into
    counts nothing.
    """
    seen: dict[tuple[int, int], int] = {}
    for path in paths:
        for file in _files(path):
            with suppress(OSError):
                status = os.lstat(file)
                seen[status.st_dev, status.st_ino] = status.st_size
    return sum(seen.values())


def _files(path: Path) -> Iterator[str]:
    """As text: an engine has many thousands."""
    if path.is_symlink() or not path.is_dir():
        yield str(path)
        return
    for folder, _, names in os.walk(path):
        yield from (os.path.join(folder, name) for name in names)  # noqa: PTH118
