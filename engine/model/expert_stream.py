"""Layers whose experts lie in main memory: each is copied to the card while the layers before it compute."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from engine.checkpoints.memory_estimate import STREAM_PARTS, STREAM_SLOTS, row_chunks
from engine.hardware.device_map import DeviceMap

STAGING_BYTES, STAGINGS = 2**25, 4
"""Pinned memory that copies go through: what is mapped or pageable, a card cannot read by itself."""


@contextmanager
def open_stream(model: Any, device_map: DeviceMap) -> Iterator[None]:
    """Let the experts that the map leaves in main memory come to its card, for as long as the model is there;
    during the context the first of them lie there.
    """
    layers = [model.model.decoder.layers[number].experts for number in device_map.streamed]
    if not layers:
        yield
        return
    for layer in layers:
        layer.parts = STREAM_PARTS
    stream = ExpertStream(layers, CardLink(device_map.first))
    with stream.on_card(0, layers[0]):
        yield


class Link(Protocol):
    """Copies to a card, beside what the card computes. Events are the link's own."""

    def empty(self, like: Tensor) -> Tensor:
        """Room on the card."""

    def copy(self, targets: Sequence[Tensor], sources: Sequence[Tensor], after: Any) -> Any:
        """Queue the copies; they wait for the event `after`, if there is one → an event for their end."""

    def wait(self, copied: Any) -> None:
        """What the card is asked to compute from now on waits for that."""

    def finish(self, copied: Any) -> None:
        """Wait for it here."""

    def computed(self) -> Any:
        """An event for the end of what the card was asked to compute until now."""


class ExpertStream:
    """The experts of some layers, in the order in which every pass of the model comes to them.

    A thread copies one layer after the other, round and round, into the slot that has been free for longest.
    A layer waits for its own copy, on the card, and gives its slot back for when it has computed.
    """

    def __init__(self, layers: Sequence[nn.Module], link: Link) -> None:
        """layers: each with parameters of the same shapes, in main memory."""
        self._link = link
        self._sources = [dict(layer.named_parameters()) for layer in layers]
        self._copies = _Copies([list(held.values()) for held in self._sources], link)
        weakref.finalize(self, self._copies.free.put, None)
        for number, layer in enumerate(layers):
            layer.register_forward_pre_hook(lambda layer, _, number=number: self._enter(number, layer))
            layer.register_forward_hook(lambda *_: self._leave())
        self._open: tuple[int, nn.Module, _Slot] | None = None

    @contextmanager
    def on_card(self, number: int, layer: nn.Module) -> Iterator[None]:
        """While the layer's parameters are those on the card."""
        self._enter(number, layer)
        try:
            yield
        finally:
            self._leave()

    def _enter(self, number: int, layer: nn.Module) -> None:
        self._leave()  # the layer before, where its pass was broken off within it
        slot, copied = self._copies.take(number)
        self._open = number, layer, slot
        self._link.wait(copied)
        for name, tensor in zip(self._sources[number], slot.tensors, strict=True):
            setattr(layer, name, nn.Parameter(tensor, requires_grad=False))

    def _leave(self) -> None:
        if self._open:
            number, layer, slot = self._open
            for name, source in self._sources[number].items():
                setattr(layer, name, source)
            self._copies.free.put((slot, self._link.computed()))
            self._open = None


@dataclass(frozen=True, eq=False)
class _Slot:
    tensors: list[Tensor]


class _Copies:
    """The thread that copies, and what goes between it and the stream."""

    def __init__(self, sources: Sequence[Sequence[Tensor]], link: Link) -> None:
        self._sources, self._link = sources, link
        self.free: SimpleQueue[tuple[_Slot, Any] | None] = SimpleQueue()
        """Slots, with an event after which they may be written."""
        self._copied: SimpleQueue[tuple[int, _Slot, Any] | BaseException] = SimpleQueue()
        self._next, self._turn = 0, threading.Lock()
        for _ in range(min(STREAM_SLOTS, len(sources))):
            self.free.put((_Slot([link.empty(source) for source in sources[0]]), None))
        threading.Thread(target=self._run, name="experts", daemon=True).start()

    def take(self, number: int) -> tuple[_Slot, Any]:
        """The slot of a layer and an event for its copy. Raises what ended the copies."""
        sought = False
        while True:
            found = self._copied.get()
            if isinstance(found, BaseException):
                self._copied.put(found)
                raise found
            if found[0] == number:
                return found[1:]
            # A pass was broken off, or begins elsewhere.
            self.free.put((found[1], found[2]))
            if not sought:
                with self._turn:
                    self._next, sought = number, True

    @torch.inference_mode()
    def _run(self) -> None:
        try:
            while (given := self.free.get()) is not None:
                slot, computed = given
                with self._turn:
                    number, self._next = self._next, (self._next + 1) % len(self._sources)
                self._copied.put(
                    (number, slot, self._link.copy(slot.tensors, self._sources[number], computed))
                )
        except BaseException as error:
            self._copied.put(error)


def _bytes(tensor: Any) -> Any:
    return tensor.view(-1).view(torch.uint8)


class CardLink:
    """By way of pinned memory, on a stream of its own. device: a CUDA or XPU card."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._card = device, torch.get_device_module(device)
        self._stream = self._card.Stream(device)
        self._stagings = [
            (torch.empty(STAGING_BYTES, dtype=torch.uint8, pin_memory=True), self._card.Event())
            for _ in range(STAGINGS)
        ]
        self._turn = 0

    def empty(self, like: Tensor) -> Tensor:
        return torch.empty_like(like, device=self._device)

    def copy(self, targets: Sequence[Tensor], sources: Sequence[Tensor], after: Any) -> Any:
        with self._card.stream(self._stream):
            if after is not None:
                self._stream.wait_event(after)
            for target, source in zip(targets, sources, strict=True):
                there, here = (tensor.view(-1).view(torch.uint8) for tensor in (target, source))
                for part in row_chunks(len(here), 1, STAGING_BYTES):
                    self._stage(there[part], here[part])
            return self._recorded(self._stream)

    def _stage(self, there: Tensor, here: Tensor) -> None:
        staging, taken = self._stagings[self._turn]
        self._turn = (self._turn + 1) % STAGINGS
        taken.synchronize()
        staging[: len(here)].copy_(here)
        there.copy_(staging[: len(here)], non_blocking=True)
        taken.record(self._stream)

    def wait(self, copied: Any) -> None:
        self._card.current_stream(self._device).wait_event(copied)

    def finish(self, copied: Any) -> None:
        copied.synchronize()

    def computed(self) -> Any:
        return self._recorded(self._card.current_stream(self._device))

    def _recorded(self, stream: Any) -> Any:
        event = self._card.Event()
        event.record(stream)
        return event
