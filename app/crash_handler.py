"""Log what nobody caught, and tell the writer."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

_log = logging.getLogger(__name__)


def report_faults(loop: asyncio.AbstractEventLoop, show_message: Callable[[str, str], None]) -> None:
    """Log what nobody caught, in slots and in tasks, and tell the writer once it happens."""

    def on_fault(error: BaseException | None, message: str) -> None:
        _log.error("%s", message, exc_info=error)
        show_message(
            "Something went wrong inside Mezzotint.",
            "Your text is still here. Save it; the log has the details.",
        )

    def on_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            on_fault(error, str(error))

    def on_thread_fault(fault: threading.ExceptHookArgs) -> None:
        """Not told: the window may not be touched from there."""
        _log.error("in the thread %s", fault.thread and fault.thread.name, exc_info=fault.exc_value)

    def on_task_fault(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        on_fault(context.get("exception"), context["message"])

    sys.excepthook = on_uncaught
    threading.excepthook = on_thread_fault
    loop.set_exception_handler(on_task_fault)
