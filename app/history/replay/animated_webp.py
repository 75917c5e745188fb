"""Animated WebP from still ones, which is all that Qt writes: the container of RFC 9649."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_ANIMATED = 0x02
_BITMAP = (b"VP8 ", b"VP8L", b"ALPH")


def animated(stills: Sequence[bytes], durations_ms: Sequence[int], width: int, height: int) -> bytes:
    """It runs for ever. width, height: of each of the stills, px."""
    head = bytes([_ANIMATED, 0, 0, 0]) + _three(width - 1) + _three(height - 1)
    chunks = [_chunk(b"VP8X", head), _chunk(b"ANIM", bytes(6))]
    for still, duration_ms in zip(stills, durations_ms, strict=True):
        bitmap = b"".join(_chunk(name, data) for name, data in _chunks(still) if name in _BITMAP)
        place = _three(0) + _three(0) + _three(width - 1) + _three(height - 1)
        chunks.append(_chunk(b"ANMF", place + _three(duration_ms) + b"\0" + bitmap))
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _three(number: int) -> bytes:
    return number.to_bytes(3, "little")


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + len(data).to_bytes(4, "little") + data + b"\0" * (len(data) % 2)


def _chunks(file: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(b"RIFFsizeWEBP")
    while at + 8 <= len(file):
        size = int.from_bytes(file[at + 4 : at + 8], "little")
        yield file[at : at + 4], file[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
