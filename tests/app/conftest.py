"""Two fixtures for what runs on the event loop:

    def test_something(run: Run, emitted: Emitted) -> None:
        async def scenario() -> None:
            closed = emitted(panel.closed)
            async for event in worker.draft(request):
                ...
            assert await closed == ("saved",)

        run(scenario())

`run` runs a coroutine on an asyncio loop that is Qt's own, as in the app. It fails after timeout_s; so does a
test that leaves tasks behind. `emitted` gives a future of a signal's next arguments; in a coroutine it stands
in for `qtbot.waitSignal`, which would nest event loops. For signals emitted in the main thread only.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine, Iterator
from typing import Any, Protocol, TypeVar

import pytest
import qasync
import shiboken6
from PySide6.QtCore import SignalInstance
from PySide6.QtWidgets import QApplication

T = TypeVar("T")


class Run(Protocol):
    def __call__(self, coroutine: Coroutine[Any, Any, T], timeout_s: float = 20.0) -> T: ...


class Emitted(Protocol):
    def __call__(self, signal: SignalInstance) -> asyncio.Future[tuple[Any, ...]]: ...


@pytest.fixture(scope="session", autouse=True)
def what_stays() -> None:
    """What is imported is not looked through again after each test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def garbage_of_this_thread() -> Iterator[None]:
    """A test's widgets and timers end with it: they may end in no other thread, where a collection would come
    at any time.
    """
    gc.disable()
    yield
    gc.collect()
    gc.enable()


@pytest.fixture
def run(qapp: QApplication) -> Iterator[Run]:
    loop = qasync.QEventLoop(qapp)
    asyncio.set_event_loop(loop)

    def run_coroutine(coroutine: Coroutine[Any, Any, T], timeout_s: float = 20.0) -> T:
        result: T = loop.run_until_complete(asyncio.wait_for(coroutine, timeout_s))
        return result

    yield run_coroutine
    left = asyncio.all_tasks(loop)
    if left:
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.wait(left))
    loop.close()
    qapp.sendPostedEvents()  # what other threads have asked of it
    # With its timers: a worker thread that lets go of the loop last could not stop them.
    shiboken6.delete(loop._timer)
    asyncio.set_event_loop(None)
    assert not left


@pytest.fixture
def emitted() -> Emitted:
    def next_arguments(signal: SignalInstance) -> asyncio.Future[tuple[Any, ...]]:
        future: asyncio.Future[tuple[Any, ...]] = asyncio.get_running_loop().create_future()

        def on_emitted(*arguments: Any) -> None:
            signal.disconnect(on_emitted)
            if not future.done():
                future.set_result(arguments)

        signal.connect(on_emitted)
        return future

    return next_arguments
