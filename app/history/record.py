"""The DraftRecord: what the history keeps of a draft."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from engine.protocol.events import Stats
from engine.protocol.requests import DraftRequest


class HistoryError(Exception):
    """Something could not be read or written; the writer was told."""


class VariantRecord(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    """As it was shown."""
    seed: int
    stats: Stats | None = None
    """None where the writer stopped it."""
    trace: bytes = b""
    """Its frames, encoded."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the model was asked, enough to ask it again."""

    request: DraftRequest
    """For this place alone, with this place's first seed, and without the text that was cut off."""
    prompt: str
    """Exactly what the model was given."""
    cut_chars: int = 0
    """Left out of the text before the place."""

    def packed(self) -> bytes:
        """The prompt says most of the request again: it packs well."""
        return zlib.compress(msgspec.json.encode(self))

    @classmethod
    def unpacked(cls, data: bytes) -> Asked:
        """Raises ValueError for what another version has written in another way."""
        try:
            return msgspec.json.decode(zlib.decompress(data), type=cls)
        except zlib.error as error:
            raise ValueError(str(error)) from error


class DraftRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One draft of one place, with all its variants."""

    id: int = 0
    """The later, the higher, whatever the clock says."""
    at: str
    """When it had settled: UTC, ISO 8601."""
    document_id: str = ""
    """Of the text while it was open; no file has one."""
    path: str = ""
    """Empty for a text without a file."""
    name: str
    """Of the document."""
    place: str
    """The last words before it."""
    verb: str
    instruction: str = ""
    model: str = ""
    precision: str = ""
    device: str = ""
    kept: int | None = None
    """The variant that was put into the text, or a part of it."""
    asked: Asked
    variants: tuple[VariantRecord, ...]
    """The first one was shown first."""

    def __post_init__(self) -> None:
        if not self.variants:
            raise ValueError("a draft without a text is none")


class DraftRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of drafts shows of one."""

    id: int
    at: str
    name: str
    verb: str
    instruction: str
    kept: bool
    stopped: bool
    text: str
    """Its beginning: of the variant that was kept, else of the first one."""

    @classmethod
    def of(cls, columns: tuple[Any, ...]) -> DraftRow:
        return cls(**dict(zip(cls.__struct_fields__, columns, strict=True)))


COLUMNS = tuple(name for name in DraftRecord.__struct_fields__ if name not in ("asked", "variants"))
"""Of a draft, those that are kept as they are."""
