"""Gradients on the drive for the length of a step, until the length of all of them is known."""

from __future__ import annotations

from pathlib import Path

import torch

from studio.engine.stream.buffers import Buffer
from studio.engine.stream.store import Store
from studio.engine.stream.traffic import BEHIND_BYTES, Reading
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
        self._is_behind = False

    def keep(self, at: int, gradients: dict[str, torch.Tensor]) -> None:
        """Begin to write a unit's gradients."""
        self.make_room(at)
        buffer = self._store.pool.take(self._sizes[at])
        seen = buffer.view(self._dtype)
        for tensor in self._store.layout.units[at].tensors:
            seen[tensor.start : tensor.end].copy_(gradients[tensor.name].reshape(-1))
        self._write(buffer, self._offsets[at], self._sizes[at])

    def make_room(self, at: int) -> None:
        """Wait for writes before buffers as large as this unit are taken: beside a slow drive there would be more."""
        if self._sizes[at] > BEHIND_BYTES:
            self._store.traffic.drain()

    def keep_tile(self, at: int, first: int, end: int, gradient: torch.Tensor) -> None:
        """Begin to write the gradient of a tile."""
        size = (end - first) * self._dtype.itemsize
        buffer = self._store.pool.take(size)
        buffer.view(self._dtype)[: gradient.numel()].copy_(gradient.reshape(-1))
        self._write(buffer, self._offsets[at] + first * self._dtype.itemsize, size)

    def read(self, at: int, first: int = 0, end: int | None = None) -> Spilt:
        """Begin to read a unit's gradients back, or those of one tile of it."""
        if self._is_behind:
            self._store.traffic.drain()
            self._is_behind = False
        each = self._dtype.itemsize
        size = self._sizes[at] if end is None else (end - first) * each
        buffer = self._store.pool.take(size)
        reading = self._store.traffic.read(self._file, buffer, [(self._offsets[at] + first * each, 0, size)])
        return Spilt(self._store, reading, self._dtype, first)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _write(self, buffer: Buffer, offset: int, size: int) -> None:
        give = self._store.pool.give
        self._store.traffic.write(self._file, buffer, offset, 0, size, lambda: give(buffer))
        self._is_behind = True


class Spilt:
    """Gradients on their way back; call `give` when they are used up."""

    def __init__(self, store: Store, reading: Reading, dtype: torch.dtype, first: int) -> None:
        self._store, self._reading, self._first = store, reading, first
        self._numbers, self._is_here = reading.buffer.view(dtype), False

    def __call__(self, tensor: StoredTensor, first: int, end: int) -> torch.Tensor:
        if not self._is_here:
            self._store.wait(self._reading)
            self._is_here = True
        start = tensor.start - self._first
        return self._numbers[start + first : start + end]

    def give(self) -> None:
        """Their memory is free again."""
        self._store.pool.give(self._store.wait(self._reading))


def unused(folder: Path) -> None:
    """Remove the file where it is not needed any more."""
    (folder / NAME).unlink(missing_ok=True)
