"""The base of all requests and events: frozen values that cross threads and processes."""

from __future__ import annotations

import msgspec


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What crosses a thread or a process. `request_id` tells whose it is."""

    request_id: str
