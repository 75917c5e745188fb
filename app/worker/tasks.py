"""Tasks on the event loop that somebody holds on to.

asyncio takes a twelfth of the time until the window is painted: it is imported where a loop runs.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


class Tasks:
    """Keeps tasks alive until they are done; what they raise goes to the loop's exception handler."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        import asyncio

        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    async def close(self) -> None:
        """Cancel what runs, and wait until it has ended."""
        import asyncio

        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        import asyncio

        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            context = {"message": "a task failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
