"""The Engine protocol: load a model, draft, read ahead, free the memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Protocol

from engine.protocol.events import DraftEvent, LinkEvent, LoadEvent
from engine.protocol.requests import DraftRequest, LinkRequest, LoadRequest, PrepareRequest, PromptRequest


class Engine(Protocol):
    """One model at a time, one request at a time, driven from one thread.

    A fault that users can reach is no exception: the last event of a load is ready, cancelled or failed; that
    of a draft is cancelled or failed, or there is one finished for each variant. `cancelled` may be set from
    any thread and is seen between two steps at the latest.
    """

    def load(self, request: LoadRequest, cancelled: threading.Event) -> Iterator[LoadEvent]: ...

    def prepare(self, request: PrepareRequest, cancelled: threading.Event) -> None:
        """Read ahead until `cancelled`. Whatever goes wrong is the next draft's to tell."""

    def prompt(self, request: PromptRequest, cancelled: threading.Event) -> Iterator[DraftEvent]:
        """The last event is prefilled, cancelled or failed."""

    def draft(self, request: DraftRequest, cancelled: threading.Event) -> Iterator[DraftEvent]: ...

    def measure_link(self, request: LinkRequest, cancelled: threading.Event) -> Iterator[LinkEvent]:
        """The last event is link-measured, cancelled or failed. No model needs to be loaded."""

    def unload(self) -> None:
        """Free the model's memory; the next draft needs a load."""

    def close(self) -> None:
        """Give back everything. The engine is not used afterwards."""
