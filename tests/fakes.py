"""An engine that does what it is told; run as a program, it does so behind the protocol."""

from __future__ import annotations

import ctypes
import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

from engine.protocol.capabilities import EngineCapabilities
from engine.protocol.errors import FaultError
from engine.protocol.events import (
    Cancelled,
    Committed,
    Device,
    DraftEvent,
    Finished,
    Frame,
    LinkEvent,
    LinkMeasured,
    LoadEvent,
    Loading,
    Prefilled,
    Ready,
    Stats,
    Token,
)
from engine.protocol.requests import (
    DraftPlace,
    DraftRequest,
    LinkRequest,
    LoadRequest,
    PrepareRequest,
    PromptRequest,
    SamplingOverrides,
)
from engine.runtime.server import serve

COMMAND = (sys.executable, "-m", "tests.fakes")
STEPS = 3
TEXT = "It rained. Émile read on 🦊."


class FakeEngine:
    """A draft has STEPS steps and says TEXT, unless its instruction is a word below, as a prepare's may be.

    out: the file descriptor of the protocol, to write to it what is no event.
    """

    def __init__(self, out: int = 1) -> None:
        self._out = out
        self.loaded = False

    def load(self, request: LoadRequest, cancelled: threading.Event) -> Iterator[LoadEvent]:
        self.loaded = False
        yield Loading(request_id=request.request_id, stage="Reading weights", fraction=0.5)
        if request.model == "missing":
            raise FaultError("weights-missing", "There is no model 'missing'.", "Choose another one.")
        if request.model == "endless":
            cancelled.wait()
        if cancelled.is_set():
            yield Cancelled(request_id=request.request_id)
            return
        self.loaded = True
        yield ready(request.request_id)

    def prepare(self, request: PrepareRequest, cancelled: threading.Event) -> None:
        """Reads on and on if its instruction is "endless"; what is never given up costs the model."""
        self._misbehave(request.place.instruction)
        if request.place.instruction == "endless":
            print("reading ahead", file=sys.stderr, flush=True)
            self.loaded = self.loaded and cancelled.wait(10)
            print("given up" if cancelled.is_set() else "never given up", file=sys.stderr, flush=True)

    def prompt(self, request: PromptRequest, cancelled: threading.Event) -> Iterator[DraftEvent]:
        if not self.loaded:
            raise FaultError("input", "No model is loaded.")
        if request.place.instruction == "endless":
            cancelled.wait()
        if cancelled.is_set():
            yield Cancelled(request_id=request.request_id)
        else:
            yield prefilled(request.request_id, request.place)

    def measure_link(self, request: LinkRequest, cancelled: threading.Event) -> Iterator[LinkEvent]:
        """12 GB a second, or, if the device is "endless", until it is given up."""
        if request.device == "endless":
            cancelled.wait()
        if cancelled.is_set():
            yield Cancelled(request_id=request.request_id)
        else:
            yield LinkMeasured(request_id=request.request_id, bytes_per_s=12 * 10**9)

    def draft(self, request: DraftRequest, cancelled: threading.Event) -> Iterator[DraftEvent]:
        if not self.loaded:
            raise FaultError("input", "No model is loaded.")
        for number, given in enumerate(request.places):
            yield prefilled(request.request_id, given, number)
        yield frame(request.request_id, 0)
        instruction = request.places[0].instruction
        self._misbehave(instruction)
        drafts = list(itertools.product(range(len(request.places)), range(request.variants)))
        step = 0
        while step < STEPS or instruction == "endless":
            step += 1
            if step == STEPS and instruction == "hang late":
                threading.Event().wait()
            if cancelled.wait(0.005):
                yield Cancelled(request_id=request.request_id)
                return
            yield from (frame(request.request_id, step, variant, place) for place, variant in drafts)
        for place, variant in drafts:
            yield Committed(request_id=request.request_id, place=place, variant=variant, canvas=0, text=TEXT)
            yield finished(request.request_id, variant, place)

    def _misbehave(self, how: str) -> None:
        match how:
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "crash":
                ctypes.string_at(0)
            case "exit":
                print("the last words", file=sys.stderr, flush=True)
                os._exit(3)
            case "exit, pipes held":
                subprocess.Popen(("sleep", "60"), stdout=self._out, close_fds=False)
                os._exit(3)
            case "hang":
                threading.Event().wait()
            case "lose the device":
                raise FaultError("device-lost", "The GPU stopped answering.")
            case "raise":
                raise KeyError("layer 7")
            case "print":
                print("a stray print", flush=True)
                os.write(1, b"a stray write\n")
            case "read":
                assert sys.stdin.read() == ""
            case "half":
                os.write(self._out, b'{"type":"frame","requ')
                os._exit(0)
            case "fall silent":
                _close_all(os.fstat(self._out))
                threading.Event().wait()
            case "noise":
                os.write(self._out, b"\xff\x00 Segmentation soup\n")
            case "unknown":
                os.write(self._out, b'{"type":"weather","request_id":"1"}\n')
            case "late":
                os.write(
                    self._out, b'{"type":"committed","request_id":"0","variant":0,"canvas":0,"text":"late"}\n'
                )

    def unload(self) -> None:
        self.loaded = False

    def close(self) -> None: ...


def prefilled(request_id: str, place: DraftPlace, number: int = 0) -> Prefilled:
    """The last 400 characters before the caret, and 40 of those after it; five of them are a token."""
    before, after = place.before[-400:], place.after[:40]
    return Prefilled(
        request_id=request_id,
        place=number,
        prompt_tokens=-(-len(before + after) // 5),
        reused_tokens=0,
        prefill_s=0.0,
        prompt=before + after,
        cut_chars=len(place.before) - len(before),
        after_chars=len(after),
        budget_tokens=88,
    )


def ready(request_id: str) -> Ready:
    """label: the process that is ready."""
    return Ready(
        request_id=request_id,
        model="fake",
        label=str(os.getpid()),
        device=Device(id="cpu", name="CPU", total_bytes=0, free_bytes=0),
        precision="fp32",
        memory_bytes=0,
        canvas_tokens=2,
        context_tokens=16,
        max_steps=STEPS,
        t_min=0.4,
        t_max=0.8,
        entropy_bound=0.1,
        capabilities=EngineCapabilities(frames=True, pins=True, reads_ahead=True, max_batch=8),
    )


def frame(request_id: str, step: int, variant: int = 0, place: int = 0) -> Frame:
    tokens = (Token("It", 0.1, True, False), Token(" rained", 2.5, False, False))
    return Frame(
        request_id=request_id,
        place=place,
        variant=variant,
        canvas=0,
        step=step,
        max_steps=STEPS,
        elapsed_s=0.005 * step,
        tokens=tokens,
    )


def finished(request_id: str, variant: int = 0, place: int = 0) -> Finished:
    stats = Stats(
        steps=STEPS,
        tokens=2,
        prefill_s=0.0,
        denoise_s=0.01,
        tokens_per_s=200.0,
        tokens_per_step=0.7,
        device="cpu",
        precision="fp32",
        stopped_early=False,
    )
    return Finished(request_id=request_id, place=place, variant=variant, text=TEXT, stats=stats)


def prompt_request(request_id: str, before: str, instruction: str = "", after: str = "") -> PromptRequest:
    place = DraftPlace(before=before, after=after, instruction=instruction)
    return PromptRequest(request_id=request_id, place=place)


def draft_request(request_id: str, before: str, **fields: Any) -> DraftRequest:
    """For one place; fields: the request's, that place's and the sampler's."""

    def taken(names: tuple[str, ...]) -> dict[str, Any]:
        return {name: fields.pop(name) for name in names if name in fields}

    place = DraftPlace(before=before, **taken(DraftPlace.__struct_fields__))
    sampling = SamplingOverrides(**taken(SamplingOverrides.__struct_fields__))
    return DraftRequest(request_id=request_id, **{"places": (place,)} | fields, sampling=sampling)


def with_instruction(request: DraftRequest, instruction: str) -> DraftRequest:
    places = (msgspec.structs.replace(place, instruction=instruction) for place in request.places)
    return msgspec.structs.replace(request, places=tuple(places))


def prepare_request(before: str, instruction: str = "") -> PrepareRequest:
    return PrepareRequest(request_id="ahead", place=DraftPlace(before=before, instruction=instruction))


def _close_all(pipe: os.stat_result) -> None:
    """Every descriptor of it."""
    for descriptor in range(3, 64):
        with suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), pipe):
                os.close(descriptor)


if __name__ == "__main__":
    raw = os.dup(1)
    serve(lambda _: FakeEngine(raw))


def nvidia_card(name: str, uuid: str, total_bytes: int, free_bytes: int, fp8: bool = False) -> Device:
    """As NVIDIA's driver lists it."""
    return Device(id=uuid, name=name, total_bytes=total_bytes, free_bytes=free_bytes, uuid=uuid, fp8=fp8)
