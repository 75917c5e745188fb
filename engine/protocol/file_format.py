"""The format numbers of the files that Mezzotint keeps; those of a newer version are left as they are."""

from __future__ import annotations

import msgspec


class NewerFormatError(Exception):
    """A file of a newer version: not to be read, replaced or moved."""


class _Numbered(msgspec.Struct):
    format: int = 1
    """Missing from files as old as the first version."""


def check_format(data: bytes, known: int) -> None:
    """data: a JSON file; whether it is whole does not matter. Raises NewerFormatError."""
    try:
        number = msgspec.json.decode(data, type=_Numbered).format
    except (msgspec.DecodeError, RecursionError):
        return
    if number > known:
        raise NewerFormatError(f"format {number}; this version knows {known}")
