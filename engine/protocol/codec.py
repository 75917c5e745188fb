"""Requests and events as JSON lines."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from engine.protocol.events import Event
from engine.protocol.flat_requests import from_flat
from engine.protocol.requests import Request

T = TypeVar("T")

_encoder = msgspec.json.Encoder()
_request_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_flat_decoder = msgspec.json.Decoder(dict[str, Any])
_event_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def encode(message: Request | Event) -> bytes:
    """One line, newline included."""
    return _encoder.encode(message) + b"\n"


def decode_request(line: bytes) -> Request:
    """Raises ValueError for anything that is not a request."""
    try:
        return _decode(_request_decoder, line)
    except msgspec.ValidationError as error:
        try:
            return from_flat(_decode(_flat_decoder, line))
        except ValueError:
            raise error from None


def decode_event(line: bytes) -> Event:
    """Raises ValueError for anything that is not an event."""
    return _decode(_event_decoder, line)


def _decode(decoder: msgspec.json.Decoder[T], line: bytes) -> T:
    try:
        return decoder.decode(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
