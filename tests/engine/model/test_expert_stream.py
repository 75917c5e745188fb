"""Experts that are copied to a card while it computes: a card whose copies and products take random times."""

from __future__ import annotations

import gc
import queue
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.checkpoints import catalogue
from engine.checkpoints.memory_estimate import STREAM_SLOTS
from engine.model.diffusion_gemma import DiffusionGemma
from engine.model.expert_stream import ExpertStream
from tests.engine.conftest import plan_for


class Stream:
    """Does what it is given one after another, in a thread, each after a random delay."""

    def __init__(self, draws: random.Random) -> None:
        self._work: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._delays = random.Random(draws.random())
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, work: Callable[[], object]) -> None:
        self._work.put(work)

    def event(self) -> threading.Event:
        done = threading.Event()
        self.add(done.set)
        return done

    def close(self) -> None:
        self._work.put(None)
        self._thread.join()

    def _run(self) -> None:
        while work := self._work.get():
            if (choice := self._delays.random()) < 0.3:
                time.sleep(choice / 3000)
            work()


class RandomCard:
    """A card with a stream for copies and one for products."""

    def __init__(self, seed: int) -> None:
        draws = random.Random(seed)
        self.copying, self.computing = Stream(draws), Stream(draws)
        self.copies = 0

    def empty(self, like: Tensor) -> Tensor:
        return torch.zeros_like(like)

    def copy(self, targets: Sequence[Tensor], sources: Sequence[Tensor], after: Any) -> Any:
        self.copies += 1
        if after is not None:
            self.copying.add(after.wait)
        for target, source in zip(targets, sources, strict=True):
            self.copying.add(partial(target.fill_, -1))
            self.copying.add(partial(target.copy_, source))
        return self.copying.event()

    def wait(self, copied: Any) -> None:
        self.computing.add(copied.wait)

    def finish(self, copied: Any) -> None:
        copied.wait()

    def computed(self) -> Any:
        return self.computing.event()

    def close(self) -> None:
        self.copying.close()
        self.computing.close()


class Layer(nn.Module):
    """Reads its parameters on the card's stream, twice."""

    def __init__(self, number: int, card: RandomCard, seen: list[float]) -> None:
        super().__init__()
        self.packed = nn.Parameter(torch.full((3,), float(number)), requires_grad=False)
        self.scales = nn.Parameter(torch.full((2,), float(number)), requires_grad=False)
        self._card, self._seen = card, seen

    def forward(self, *, breaks: bool = False) -> None:
        held = self.packed.data, self.scales.data

        def read() -> None:
            self._seen.extend(value for tensor in held for value in tensor.tolist())

        self._card.computing.add(read)
        if breaks:
            raise InterruptedError
        self._card.computing.add(read)


@pytest.fixture
def card(request: pytest.FixtureRequest) -> Iterator[RandomCard]:
    made = RandomCard(getattr(request, "param", 0))
    yield made
    made.close()


def expected(numbers: Sequence[int]) -> list[float]:
    return [float(number) for number in numbers for _ in range(10)]


@pytest.mark.parametrize("card", range(40), indirect=True)
def test_no_layer_reads_what_is_not_its_own(card: RandomCard, request: pytest.FixtureRequest) -> None:
    """Whole passes, passes that are broken off at any layer, and layers by themselves."""
    draws = random.Random(request.node.name)
    count, seen, asked = draws.randint(1, 9), list[float](), list[int]()
    layers = [Layer(number, card, seen) for number in range(count)]
    sources = [layer.packed for layer in layers]
    stream = ExpertStream(layers, card)
    for _ in range(25):
        end = count if draws.random() < 0.6 else draws.randrange(count)
        for number in range(end):
            layers[number]()
            asked.append(number)
        if draws.random() < 0.1:
            number = draws.randrange(count)
            with stream.on_card(number, layers[number]):
                layers[number].forward()
            asked.append(number)
    card.computing.event().wait()
    assert seen == expected(asked)
    assert [layer.packed for layer in layers] == sources


def test_a_pass_that_breaks_off_within_a_layer_leaves_its_parameters_and_its_room(card: RandomCard) -> None:
    seen: list[float] = []
    layers = [Layer(number, card, seen) for number in range(STREAM_SLOTS + 2)]
    sources = [layer.packed for layer in layers]
    stream = ExpertStream(layers, card)
    for _ in range(2 * STREAM_SLOTS):
        with pytest.raises(InterruptedError):
            layers[0](breaks=True)
    del seen[:]
    for layer in layers:
        layer()
    card.computing.event().wait()
    assert seen[-10 * len(layers) :] == expected(range(len(layers)))
    assert [layer.packed for layer in layers] == sources
    del stream


def test_copies_are_ahead_of_the_layers_also_round_the_end_of_a_pass(card: RandomCard) -> None:
    layers = [Layer(number, card, []) for number in range(6)]
    stream = ExpertStream(layers, card)
    for layer in layers * 2:
        layer()
    card.computing.event().wait()
    while card.copies < 12 + STREAM_SLOTS:  # those of the next pass, which nobody has asked for yet
        time.sleep(0.001)
    card.copying.event().wait()
    assert card.copies == 12 + STREAM_SLOTS
    del stream


def test_after_a_pass_that_was_broken_off_few_layers_are_copied_in_vain(card: RandomCard) -> None:
    layers = [Layer(number, card, []) for number in range(30)]
    stream = ExpertStream(layers, card)
    for layer in layers[:10]:
        layer()
    for layer in layers:
        layer()
    card.computing.event().wait()
    assert card.copies <= 10 + 30 + 3 * STREAM_SLOTS
    del stream


def test_what_ends_the_copies_is_told_by_the_next_layers(card: RandomCard) -> None:
    class Lost(RandomCard):
        def copy(self, targets: Sequence[Tensor], sources: Sequence[Tensor], after: Any) -> Any:
            if self.copies == 7:
                raise OSError("the disk is gone")
            return super().copy(targets, sources, after)

    lost = Lost(0)
    layers = [Layer(number, lost, []) for number in range(5)]
    stream = ExpertStream(layers, lost)
    for layer in (layers * 2)[:7]:
        layer()
    for layer in layers:
        with pytest.raises(OSError, match="the disk is gone"):
            layer()
    lost.close()
    del stream


class Main:
    """A card that is the processor."""

    def empty(self, like: Tensor) -> Tensor:
        return torch.full_like(like, 3)

    def copy(self, targets: Sequence[Tensor], sources: Sequence[Tensor], after: Any) -> Any:
        assert after is not False
        for target, source in zip(targets, sources, strict=True):
            target.copy_(source)
        return True

    def wait(self, copied: Any) -> None:
        assert copied

    def finish(self, copied: Any) -> None:
        assert copied

    def computed(self) -> Any:
        return True


@pytest.mark.parametrize("bundled", [False, True])
def test_a_model_computes_the_same_bits_with_experts_that_are_streamed(
    bundled: bool, tiny_folder: Path
) -> None:
    model = DiffusionGemma(plan_for(catalogue.STARTER.folder if bundled else tiny_folder, "4-bit"))
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(4, model.vocab_size, (40,), generator=generator).tolist()
    canvas = torch.randint(4, model.vocab_size, (1, model.canvas_tokens), generator=generator)

    def logits() -> Tensor:
        cache = model.new_cache()
        model.prefill(cache, ids)
        return model.denoise(model.open_canvases([cache]), canvas, None).clone()

    with torch.inference_mode():
        resident = logits()
        layers = model.text_model.model.decoder.layers
        stream = ExpertStream([layer.experts for number, layer in enumerate(layers) if number != 1], Main())
        assert torch.equal(logits(), resident)
        assert torch.equal(logits(), resident)
    del stream


def test_the_thread_ends_with_the_stream(card: RandomCard) -> None:
    others = set(threading.enumerate())
    layers = [Layer(number, card, []) for number in range(5)]
    stream = ExpertStream(layers, card)
    gone = weakref.ref(stream)
    layers[0]()
    (thread,) = [thread for thread in set(threading.enumerate()) - others if thread.name == "experts"]
    card.computing.event().wait()
    del stream, layers
    gc.collect()
    assert gone() is None
    thread.join(10)
    assert not thread.is_alive()
