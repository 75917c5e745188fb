"""What is measured inside the running app: `-m tests.bench.app_probes NAME` prints the findings as JSON."""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import uuid
from collections.abc import Callable, Coroutine
from itertools import pairwise
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent, Qt, QTimer
from PySide6.QtGui import QKeyEvent, QPaintEvent, QTextBlock, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit

from app import application as app_main
from app.crash_handler import report_faults
from app.documents.text import set_document_text
from app.drafting.draft_session import DraftState
from app.editor.draft_overlay import FRAME_INTERVAL_MS, DraftOverlay
from app.editor.page import Page
from app.editor.placement import PassagePlacement, Placement
from app.window.main_window import MainWindow
from app.worker.engine_thread import EngineThread
from engine.checkpoints.catalogue import BUNDLED
from engine.protocol.events import Frame, Prefilled, Token
from engine.protocol.requests import DraftPlace, DraftRequest, SamplingOverrides
from tests.app.timers import timer_of

Found = dict[str, Any]
TEXT = (
    "The ferry was late again. Clara sat on her suitcase at the end of the pier and watched the lights come "
    "on along the harbour, one window after another, as if somebody were walking through the town.\n"
)
KEYS, FRAMES, CANCELS = 300, 360, 12
LONG_DRAFT = {"max_steps": 128, "length": 4, "early_stop": False}


paint = Page.paintEvent
paints: list[float] = []
workers: list[EngineThread] = []
"""When each of the page's paint events ended."""


def paint_and_note(page: Page, event: QPaintEvent) -> None:
    paint(page, event)
    paints.append(perf_counter())


setattr(Page, "paintEvent", paint_and_note)  # noqa: B010


# ------------------------------------------------------------------ the app as `python -m app` starts it


def drive(probe: Callable[[MainWindow], Coroutine[Any, Any, Found]]) -> Found:
    """Start the app and run the probe on its event loop, from before the first paint on."""
    tasks: list[asyncio.Task[Found]] = []

    windows: list[MainWindow] = []

    class Window(MainWindow):
        def __init__(self, *parts: Any) -> None:
            super().__init__(*parts)
            windows.append(self)
            workers.extend(part for part in parts if isinstance(part, EngineThread))

    async def run_probe() -> Found:
        try:
            return await probe(windows[0])
        finally:
            windows[0].view.page.document().setModified(False)
            windows[0].close()

    def report_and_start(loop: asyncio.AbstractEventLoop, tell: Callable[[str, str], None]) -> None:
        report_faults(loop, tell)
        tasks.append(loop.create_task(run_probe()))

    setattr(app_main, "report_faults", report_and_start)  # noqa: B010
    setattr(app_main, "MainWindow", Window)  # noqa: B010
    sys.argv = sys.argv[:1]
    app_main.start()
    return tasks[0].result()


async def until(holds: Callable[[], bool], timeout_s: float = 120.0) -> None:
    end = perf_counter() + timeout_s
    while not holds():
        if perf_counter() > end:
            raise TimeoutError
        await asyncio.sleep(0.005)


async def ready(window: MainWindow) -> None:
    await until(lambda: window.model.ready is not None)


async def draft_to_step(window: MainWindow, step: int) -> None:
    window.view.commands.draft()
    await until(lambda: window.view.drafts.state is DraftState.DENOISING and _step(window) >= step)


# ------------------------------------------------------------------ probes


async def stall(window: MainWindow) -> Found:
    """The longest time that the event loop stood still, from the first paint until the model is ready."""
    beats = _beats(window)
    beats[:0] = paints[:1]
    await ready(window)
    await asyncio.sleep(0.3)
    gaps = [after - before for before, after in pairwise(beats)]
    return {"longest_ms": 1000 * max(gaps)}


async def keys(window: MainWindow) -> Found:
    """From when a key is due until it is painted, in 100,000 words: idle, while a draft develops, and while
    three or four do: under neighbouring paragraphs and above the view.
    """
    set_document_text(window.view.page.document(), TEXT * (100_000 // len(TEXT.split())))
    window.settings.change(**LONG_DRAFT)
    await ready(window)
    await asyncio.sleep(1.0)
    page = window.view.page
    _put_caret(page, page.document().blockCount() // 2)
    idle = await _type(page, KEYS // 2)
    await draft_to_step(window, 1)
    page.moveCursor(QTextCursor.MoveOperation.PreviousBlock)
    page.moveCursor(QTextCursor.MoveOperation.EndOfBlock)
    drafting = await _type(page, KEYS, lambda: window.view.drafts.state is DraftState.DENOISING)
    found = {1: drafting}
    for count in (3, 4):
        window.view.drafts.discard_all()
        await asyncio.sleep(1.0)
        block = page.textCursor().block()
        blocks = [block.next(), block.next().next(), page.document().firstBlock(), block.next().next().next()]
        window.view.commands.draft_at([_end_of(one) for one in blocks[:count]])
        await until(lambda: _step(window) >= 1)
        page.setTextCursor(_end_of(block))
        found[count] = await _type(page, KEYS, lambda: window.view.drafts.state is DraftState.DENOISING)
    window.view.drafts.discard_all()
    await asyncio.sleep(1.0)
    idle += await _type(page, KEYS // 2)
    return {"idle_ms": idle, "drafting_ms": found}


async def long_texts(window: MainWindow) -> Found:
    """How long a text takes to be opened, in a bare editor and in the page, and how long the window stands
    still at the longest while that is typed in and rests: words are counted then, and a copy is kept. The
    shorter ones are opened several times in turn: the median.
    """
    line = "A line of some sixty characters that ends as most lines end.\n"
    texts = {
        "3,000,000 empty lines": "\n" * 3_000_000,
        "450,000 short lines": "A short line.\n" * 450_000,
        "one CRLF among 83,333 LF": line * 83_333 + "One.\r\nTwo.",
        "5 MB": TEXT * (5_000_000 // len(TEXT)),
    }
    await ready(window)
    page, found = window.view.page, {}
    for name, text in texts.items():
        bare_ms, open_ms = [], []
        for _ in range(min(7, max(1, 500_000 // text.count("\n")))):
            bare = QPlainTextEdit()
            bare.resize(page.size())
            bare.show()
            began = perf_counter()
            bare.setPlainText(text)
            bare.viewport().repaint()
            bare_ms.append(1000 * (perf_counter() - began))
            bare.deleteLater()
            set_document_text(page.document(), "")
            await asyncio.sleep(0.5)
            began = perf_counter()
            set_document_text(page.document(), text)
            page.viewport().repaint()
            open_ms.append(1000 * (perf_counter() - began))
        await asyncio.sleep(1.0)
        beats = _beats(window)
        await _type(page, KEYS // 6)
        await asyncio.sleep(2.0)
        gaps = [after - before for before, after in pairwise(beats)]
        found[name] = {
            "open_ms": statistics.median(open_ms),
            "bare_ms": statistics.median(bare_ms),
            "stall_ms": 1000 * max(gaps),
        }
    return found


async def frames(window: MainWindow) -> Found:
    """A step's frames, of one draft, of four, and of four that replace a paragraph: 256 words each, every
    word in ink of its own, taken by the page, laid out, painted.
    """
    await ready(window)
    page, wall_ms, processor_ms = window.view.page, {}, {}
    for name, count, placed in (
        ("one draft", 1, lambda block: Placement(_end_of(block))),
        ("four drafts", 4, lambda block: Placement(_end_of(block))),
        ("four rewrites", 4, lambda block: PassagePlacement(_all_of(block))),
    ):
        set_document_text(page.document(), TEXT * 5)
        blocks = [page.document().findBlockByNumber(number) for number in range(count)]
        overlays = [DraftOverlay(page, placed(block), 6, reduced_motion=False) for block in blocks]
        await asyncio.sleep(1.0)
        taken = []
        for frame in _made_up_frames():
            for overlay in overlays:
                timer_of(overlay, FRAME_INTERVAL_MS).stop()
            await asyncio.sleep(0)
            began, began_processor = perf_counter(), thread_time()
            for overlay in overlays:
                overlay.show(frame.tokens)
            page.viewport().repaint()
            taken.append((1000 * (perf_counter() - began), 1000 * (thread_time() - began_processor)))
        wall_ms[name], processor_ms[name] = zip(*taken[10:], strict=True)
        for overlay in overlays:
            overlay.close()
    return {"wall_ms": wall_ms, "processor_ms": processor_ms}


async def cancels(window: MainWindow) -> Found:
    """Stop and Discard in turn: how soon the window is idle, and in how many steps the engine is free."""
    window.settings.change(**LONG_DRAFT)
    await ready(window)
    idle_ms, free_steps = [], []
    for turn in range(CANCELS):
        set_document_text(window.view.page.document(), TEXT)
        _put_caret(window.view.page, 0)
        await draft_to_step(window, 4 + turn)
        step_s = await _step_s(window)
        began = perf_counter()
        actions = window.view.draft_actions
        (actions.discard if turn % 2 else actions.stop).trigger()
        await until(lambda: window.view.drafts.state in (None, DraftState.SETTLED))
        idle_ms.append(1000 * (perf_counter() - began))
        free_steps.append((await _next_draft_begins() - began) / step_s)
        window.view.drafts.discard_all()
    return {"idle_ms": idle_ms, "free_steps": free_steps}


async def memory(window: MainWindow) -> Found:
    """The app's own process, a draft done and kept."""
    set_document_text(window.view.page.document(), TEXT)
    _put_caret(window.view.page, 0)
    await ready(window)
    window.view.commands.draft()
    await until(lambda: window.view.drafts.state is DraftState.SETTLED)
    window.view.commands.keep()
    await asyncio.sleep(0.5)
    return {"resident_mb": _kb_of("/proc/self/status", "VmRSS") / 1000}


# ------------------------------------------------------------------ how


def _beats(window: MainWindow) -> list[float]:
    """When the event loop came by, from now on."""
    beats: list[float] = []
    timer = QTimer(window, timerType=Qt.TimerType.PreciseTimer, interval=1)
    timer.timeout.connect(lambda: beats.append(perf_counter()))
    timer.start()
    return beats


def _all_of(block: QTextBlock) -> QTextCursor:
    cursor = QTextCursor(block)
    cursor.movePosition(QTextCursor.MoveOperation.EndOfBlock, QTextCursor.MoveMode.KeepAnchor)
    return cursor


def _end_of(block: QTextBlock) -> QTextCursor:
    cursor = QTextCursor(block)
    cursor.movePosition(QTextCursor.MoveOperation.EndOfBlock)
    return cursor


def _put_caret(page: Page, block: int) -> None:
    page.setTextCursor(_end_of(page.document().findBlockByNumber(block)))
    page.centerCursor()


async def _type(page: Page, count: int, while_: Callable[[], bool] = lambda: True) -> list[float]:
    """ms from when each key was due until the next of the paint events had ended."""
    pauses, taken = random.Random(1), []
    for _ in range(count):
        if not while_():
            break
        pause_ms = pauses.randint(20, 45)
        due = perf_counter() + pause_ms / 1000
        pressed = asyncio.Event()

        def press(pressed: asyncio.Event = pressed) -> None:
            for kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
                key = QKeyEvent(kind, Qt.Key.Key_E, Qt.KeyboardModifier.NoModifier, "e")
                QCoreApplication.sendEvent(page, key)
            paints.clear()
            pressed.set()

        QTimer.singleShot(pause_ms, page, press)
        await pressed.wait()
        await until(lambda: bool(paints))
        taken.append(1000 * (paints[0] - due))
    return taken


async def _step_s(window: MainWindow) -> float:
    """The time of a step, from some that are under way."""
    seen = [(_step(window), perf_counter())]
    while len(seen) < 6:
        before = _step(window)
        await until(lambda before=before: _step(window) != before)  # type: ignore[misc]
        seen.append((_step(window), perf_counter()))
    times = [(b_at - a_at) / (b_step - a_step) for (a_step, a_at), (b_step, b_at) in pairwise(seen)]
    return statistics.median(times)


def _step(window: MainWindow) -> int:
    return window.view.drafts.current.step if window.view.drafts.current else 0


async def _next_draft_begins() -> float:
    """When the engine began to read the next request's prompt."""
    events = workers[0].draft(
        DraftRequest(
            request_id=uuid.uuid4().hex,
            places=(DraftPlace(before=TEXT),),
            sampling=SamplingOverrides(max_steps=1),
        )
    )
    async for event in events:
        if isinstance(event, Prefilled):
            began = perf_counter() - event.prefill_s
    return began


def _made_up_frames() -> list[Frame]:
    """Noise from the bundled model's vocabulary that turns into a text, a little at each frame."""
    vocabulary = json.loads((BUNDLED / "starter" / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    words = [word.replace("Ġ", " ") for word in vocabulary if word.replace("Ġ", "").isascii()]
    rng = random.Random(7)
    final = [rng.choice(words) for _ in range(256)]
    made = []
    for number in range(FRAMES + 10):
        share = (number % 48) / 48
        tokens = tuple(
            Token(word, entropy := rng.expovariate(0.3 + 3 * share), entropy < 0.1, False)
            if rng.random() < share
            else Token(rng.choice(words), rng.uniform(1.0, 8.0), False, False)
            for word in final
        )
        made.append(
            Frame(
                request_id="", variant=0, canvas=0, step=number, max_steps=999, elapsed_s=0.0, tokens=tokens
            )
        )
    return made


def _kb_of(file: str, name: str) -> int:
    for line in Path(file).read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise LookupError(name)


PROBES = {probe.__name__: probe for probe in (stall, keys, long_texts, frames, cancels, memory)}

if __name__ == "__main__":
    print(json.dumps(drive(PROBES[sys.argv[1]])))
