"""Takes weights to a card beside what it computes: on a stream of its own, into memory taken before.

A copy that stands in line behind a layer's products begins when they have ended; asked for on another stream it runs
beside them. Its target is taken from the line of the products, so two orders have to be kept: the copy begins after
all that was asked for before the target was taken (it may lie where something else did), and what is computed with it,
or taken in its place, comes after the copy.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass
class Parcel:
    """What is on its way to a card, or there.

    Attributes:
        memory: on the card.
        copied: when it is there.
        is_awaited: whether what is computed comes after that.
    """

    memory: torch.Tensor
    copied: torch.cuda.Event
    is_awaited: bool = False

    def open(self) -> torch.Tensor:
        """To compute with: the products that are asked for from now on wait for it, this process does not."""
        if not self.is_awaited:
            torch.cuda.current_stream(self.memory.device).wait_event(self.copied)
            self.is_awaited = True
        return self.memory

    def drop(self) -> None:
        """Wait until what it came from may be written into; its memory may be taken by others after this."""
        self.open()
        self.copied.synchronize()


class Courier:
    """One card's."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._room: tuple[torch.Tensor, torch.cuda.Event] | None = None

    def make_room(self, like: torch.Tensor) -> None:
        """Take memory for what is sent next, before more products stand in line."""
        if self._room is None or self._room[0].shape != like.shape or self._room[0].dtype != like.dtype:
            self._room = None  # before there is a second one
            taken = torch.cuda.Event()
            memory = torch.empty_like(like, device=self._device)
            taken.record(torch.cuda.current_stream(self._device))
            self._room = memory, taken

    def send(self, given: torch.Tensor) -> Parcel:
        """Begin to copy from pinned memory, which must not change until the parcel is dropped."""
        self.make_room(given)
        assert self._room is not None
        memory, taken = self._room
        self._room, copied = None, torch.cuda.Event()
        self._stream.wait_event(taken)
        with torch.cuda.stream(self._stream):
            memory.copy_(given, non_blocking=True)
            copied.record(self._stream)
        return Parcel(memory, copied)

    def close_room(self) -> None:
        """Give back memory that waits for nothing more."""
        self._room = None
