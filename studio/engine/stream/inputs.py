"""What layers are given on the way up, kept for the way down: on the device, in RAM beside it, or on the drive."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from studio.engine.stream.buffers import Buffer
from studio.engine.stream.store import Store
from studio.engine.stream.traffic import Reading
from studio.machine.drive_file import DriveFile, make_file
from studio.models.store_layout import pages

Where = Literal["device", "ram", "drive"]
NAME = "inputs.bin"


class Inputs:
    """The inputs of one step, a list of micro-batches for each layer.

    Args:
        place: where they wait.
        folder: of the file, on the drive that weights stream from; made where it is not there.
        store: its pool and threads are used.
        layers: of the model.
        device: where layers compute.
    """

    def __init__(self, place: Where, folder: Path, store: Store, layers: int, device: torch.device) -> None:
        self._place, self._path, self._layers, self._device = place, folder / NAME, layers, device
        self._pool, self._traffic = store.pool, store.traffic
        self._held: dict[int, list[torch.Tensor]] = {}
        self._shapes: dict[int, list[torch.Tensor]] = {}
        self._ahead: dict[int, Reading] = {}
        self._file: DriveFile | None = None
        self._slot = 0
        self._is_behind = False

    def clear(self) -> None:
        """A new step begins; what one that failed left behind is of no use."""
        self._held.clear()
        self._shapes.clear()
        for reading in self._ahead.values():
            self._give(self._traffic.wait(reading))
        self._ahead.clear()

    def leave(self) -> bool:
        """From the next step on they wait in RAM beside a card; False if they were not on one."""
        if self._place != "device" or self._device.type == "cpu":
            return False
        self._place = "ram"
        return True

    def put(self, at: int, given: list[torch.Tensor]) -> None:
        """Keep a layer's inputs.

        Raises:
            UserError: the drive is full or failed.
        """
        if self._place != "drive":
            kept = "cpu" if self._place == "ram" else self._device
            self._held[at] = [tensor.to(kept) for tensor in given]
            return
        size = sum(pages(tensor.nbytes) for tensor in given)
        file = self._opened(size)
        buffer = self._pool.take(self._slot)
        for tensor, seen in zip(given, self._views(buffer, given), strict=True):
            seen.copy_(tensor)
        self._shapes[at] = [torch.empty_like(tensor, device="meta") for tensor in given]
        self._traffic.write(file, buffer, at * self._slot, 0, size, lambda: self._give(buffer))
        self._is_behind = True

    def take(self, at: int, *, then: int, again: bool = False) -> list[torch.Tensor]:
        """A layer's inputs, which are kept no longer, or are wanted `again`.

        Args:
            then: the layer whose inputs are wanted next.
        """
        if self._place != "drive":
            held = self._held[at] if again else self._held.pop(at)
            return [tensor.to(self._device) for tensor in held]
        if self._is_behind:
            self._traffic.drain()
            self._is_behind = False
        self._read(at)
        reading = self._ahead.pop(at)
        if then in self._shapes:
            self._read(then)
        buffer, shapes = self._traffic.wait(reading), self._shapes[at] if again else self._shapes.pop(at)
        found = [seen.to(self._device, copy=True) for seen in self._views(buffer, shapes)]
        self._give(buffer)
        return found

    def close(self) -> None:
        """Let go of the file, and of its place on the drive; nothing may be under way to it."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._path.unlink(missing_ok=True)

    def _read(self, at: int) -> None:
        if at in self._ahead:
            return
        assert self._file is not None
        size = sum(pages(like.nbytes) for like in self._shapes[at])
        self._ahead[at] = self._traffic.read(self._file, self._pool.take(self._slot), [(at * self._slot, 0, size)])

    def _views(self, buffer: Buffer, likes: list[torch.Tensor]) -> list[torch.Tensor]:
        """A buffer as tensors like these, each from a page of its own."""
        views, start = [], 0
        for like in likes:
            views.append(buffer.view(like.dtype, start, start + like.nbytes).view(like.shape))
            start += pages(like.nbytes)
        return views

    def _opened(self, size: int) -> DriveFile:
        """The file, with so many bytes for each layer at least."""
        if self._file is None or size > self._slot:
            self._traffic.drain()
            self.close()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            make_file(self._path, self._layers * size)
            self._slot, self._file = size, DriveFile(self._path)
        return self._file

    def _give(self, buffer: Buffer) -> None:
        """Back to the pool, unless longer steps have come since."""
        if len(buffer.memory) == self._slot:
            self._pool.give(buffer)
