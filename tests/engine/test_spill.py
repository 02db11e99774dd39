"""Silent spill into system memory is noticed once, only when it is one, and on the card that trains."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch

from studio.engine.memory import MemorySampler
from studio.engine.prepared import Prepared
from studio.engine.spill import SpillWatch
from studio.machine.resources import Gpu
from studio.protocol.events import Memory, Notice

CARD = 8_000_000_000


def test_it_is_told_once() -> None:
    watch = SpillWatch(taken_before=1_000_000_000)
    assert watch.look(6_000_000_000, 900_000_000, CARD) is None
    notice = watch.look(7_500_000_000, 0, CARD)
    assert notice is not None and "0.80 GB" in notice.text
    assert watch.look(7_900_000_000, 0, CARD) is None


def test_a_card_that_still_has_room_does_not_spill() -> None:
    """Others may have left since; what is free decides."""
    assert SpillWatch(taken_before=4_000_000_000).look(6_000_000_000, 1_500_000_000, CARD) is None


def test_a_run_on_the_second_card_is_told_of_that_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sampler has a thread of its own, and what CUDA takes for the current card is each thread's own."""
    here, told = threading.current_thread(), threading.Event()
    reserved, free = {0: 0, 1: 7_900_000_000}, {0: CARD, 1: 0}
    cuda: dict[str, Any] = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "current_device": lambda: int(threading.current_thread() is here),
        "memory_reserved": lambda card: reserved[card],
        "memory_allocated": lambda card: reserved[card],
        "mem_get_info": lambda card: (free[card], CARD),
    }
    for name, answer in cuda.items():
        monkeypatch.setattr(torch.cuda, name, answer)
    cards = tuple(Gpu(index, "Card", CARD, CARD) for index in (0, 1))
    monkeypatch.setattr("studio.engine.memory.read_gpus", lambda: cards)
    monkeypatch.setattr("studio.engine.memory.PERIOD_SECONDS", 0.01)
    heard: list[Memory | Notice] = []

    def hear(event: Memory | Notice) -> None:
        heard.append(event)
        if isinstance(event, Notice):
            told.set()

    sampler = MemorySampler(hear, baseline_ram=0)
    model = torch.nn.Linear(2, 2)
    sampler.watch(Prepared(model, save_weights=lambda folder, is_final: None), torch.optim.SGD(model.parameters()))
    sampler.start()
    assert told.wait(10)
    sampler.stop()
    (notice,) = [event for event in heard if isinstance(event, Notice)]
    assert "0.20 GB" in notice.text
    assert [event.gpu["activations"] for event in heard if isinstance(event, Memory)][-1] == reserved[1]
