"""Gradients on the drive for the length of a step, until the length of all of them is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from studio.engine.stream.store import Store
from studio.machine.drive_file import DriveFile, make_file
from studio.models.store_layout import StoredTensor

NAME = "gradients.bin"


class Spill:
    """One unit behind the other.

    Args:
        store: its folder, pool and threads are used.
        units: those that come here.
        dtype: that gradients are kept in; that of the gradients themselves, so that nothing is lost.
    """

    def __init__(self, store: Store, units: list[int], dtype: torch.dtype) -> None:
        self._store, self._dtype = store, dtype
        sizes = [unit.numbers * dtype.itemsize * (at in units) for at, unit in enumerate(store.layout.units)]
        self._offsets = [sum(sizes[:at]) for at in range(len(sizes))]
        self._sizes = sizes
        path = store.folder / NAME
        if not path.is_file() or path.stat().st_size != sum(sizes):
            make_file(path, sum(sizes))
        self._file = DriveFile(path)

    def keep(self, at: int, gradients: dict[str, torch.Tensor]) -> None:
        """Begin to write a unit's gradients."""
        buffer = self._store.pool.take(self._sizes[at])
        seen = buffer.view(self._dtype)
        for tensor in self._store.layout.units[at].tensors:
            seen[tensor.start : tensor.end].copy_(gradients[tensor.name].reshape(-1))
        give = self._store.pool.give
        self._store.traffic.write(self._file, buffer, self._offsets[at], 0, self._sizes[at], lambda: give(buffer))

    def keep_tile(self, at: int, first: int, end: int, gradient: torch.Tensor) -> None:
        """Begin to write the gradient of a tile."""
        size = (end - first) * self._dtype.itemsize
        buffer, give = self._store.pool.take(size), self._store.pool.give
        buffer.view(self._dtype)[: gradient.numel()].copy_(gradient.reshape(-1))
        offset = self._offsets[at] + first * self._dtype.itemsize
        self._store.traffic.write(self._file, buffer, offset, 0, size, lambda: give(buffer))

    def read(self, at: int, first: int = 0, end: int | None = None) -> Spilt:
        """Read a unit's gradients back, or those of one tile of it."""
        self._store.traffic.drain()
        each = self._dtype.itemsize
        size = self._sizes[at] if end is None else (end - first) * each
        buffer = self._store.pool.take(size)
        reading = self._store.traffic.read(self._file, buffer, [(self._offsets[at] + first * each, 0, size)])
        self._store.wait(reading)
        return Spilt(buffer.view(self._dtype), first, lambda: self._store.pool.give(buffer))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class Spilt:
    """Gradients read back; call `give` when they are used up."""

    def __init__(self, numbers: torch.Tensor, first: int, give: Callable[[], None]) -> None:
        self._numbers, self._first = numbers, first
        self.give = give

    def __call__(self, tensor: StoredTensor, first: int, end: int) -> torch.Tensor:
        start = tensor.start - self._first
        return self._numbers[start + first : start + end]


def unused(folder: Path) -> None:
    """Remove the file where it is not needed any more."""
    (folder / NAME).unlink(missing_ok=True)
