"""The weights and optimizer state of a model on the drive, unit by unit; see `models/store_layout.py` for the files.

Crash safety: a unit is only ever written into the slot that the newest checkpoint does not name. `flush` brings all of
it down to the drive and tells which slots are new; the checkpoint that says so is the flip; `settle` is told of it.
"""

from __future__ import annotations

from pathlib import Path

import torch
from filelock import FileLock, Timeout

from studio.engine.stream.buffers import Buffer, BufferPool
from studio.engine.stream.drive_file import DriveFile
from studio.engine.stream.traffic import Reading, Traffic
from studio.errors import UserError
from studio.models.store_layout import Layout
from studio.models.stored_weights import unit_path


class Store:
    """An open store.

    Args:
        folder: made by `create.make_store`.
        layout: as read from it.
        slots: of each unit, the slot that holds what the newest checkpoint means.
        cached: the numbers of the units whose weights stay in memory.
        pinned: whether buffers are registered with the card.

    Attributes:
        is_direct: whether the page cache is passed by.
    """

    def __init__(self, folder: Path, layout: Layout, slots: list[int], *, cached: set[int], pinned: bool) -> None:
        self.folder, self.layout = folder, layout
        self.pool, self.traffic = BufferPool(pinned=pinned), Traffic()
        self._lock = FileLock(folder / ".lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise UserError(
                "Another run is training on these streamed weights.", "Wait until it has ended, or stop it."
            ) from error
        self._files = [DriveFile(unit_path(folder, unit)) for unit in layout.units]
        self.is_direct = all(file.is_direct for file in self._files)
        self._committed, self._working = list(slots), list(slots)
        self._cached = cached
        self._kept: dict[int, Buffer] = {}
        self._writing: set[int] = set()

    def read_weights(self, at: int) -> Reading:
        """Begin to read all 16-bit weights of a unit."""
        self._await_writing(at)
        if at in self._kept:
            return Reading(self._kept[at])
        unit = self.layout.units[at]
        buffer = self.pool.take(unit.weight_bytes)
        return self.traffic.read(self._files[at], buffer, [(self._base(at), 0, unit.weight_bytes)])

    def wait(self, reading: Reading) -> Buffer:
        """The filled buffer of a reading."""
        return self.traffic.wait(reading)

    def release(self, at: int, buffer: Buffer) -> None:
        """A unit's weights are not needed for now; cached ones stay."""
        if at in self._cached:
            self._kept[at] = buffer
        else:
            self.pool.give(buffer)

    def read_residuals(self, at: int) -> Reading | None:
        """Begin to read what is missing to fp32, of all tiles; None where the scheme keeps nothing of it."""
        unit, layout = self.layout.units[at], self.layout
        if not layout.parts:
            return None
        self._await_writing(at)
        places, end = [], 0
        for first, last in layout.tiles(unit):
            start, end = end, end + layout.part_bytes(layout.parts[0], last - first)
            places.append((self._base(at) + layout.record_offset(unit, first), start, end))
        return self.traffic.read(self._files[at], self.pool.take(end), places)

    def read_record(self, at: int, first: int, end: int) -> Reading:
        """Begin to read the record of a tile."""
        size = self.layout.record_bytes(end - first)
        offset = self._base(at) + self.layout.record_offset(self.layout.units[at], first)
        return self.traffic.read(self._files[at], self.pool.take(size), [(offset, 0, size)])

    def record(self, buffer: Buffer, numbers: int) -> dict[str, torch.Tensor]:
        """The parts of a record, as views."""
        views, start = {}, 0
        for part in self.layout.parts:
            count = numbers // part.every
            views[part.name] = buffer.view(getattr(torch, part.dtype), start, start + count * part.item_bytes)
            start += self.layout.part_bytes(part, numbers)
        return views

    def write_record(self, at: int, first: int, buffer: Buffer) -> None:
        """Begin to write a record; the buffer goes back to the pool by itself."""
        offset = self._target(at) + self.layout.record_offset(self.layout.units[at], first)
        self.traffic.write(self._files[at], buffer, offset, 0, len(buffer.memory), lambda: self.pool.give(buffer))

    def write_weights(self, at: int, buffer: Buffer) -> None:
        """Begin to write a unit's weights, after all its records: from now on it is read from the new slot."""
        size = self.layout.units[at].weight_bytes
        self._writing.add(at)
        self.traffic.write(self._files[at], buffer, self._target(at), 0, size, lambda: self._wrote(at, buffer))
        self._working[at] = 1 - self._committed[at]

    def slot(self, at: int) -> int:
        """Where the newest numbers of a unit are."""
        return self._working[at]

    def flush(self) -> list[int]:
        """Bring everything down to the drive; the slots that are new with it."""
        self.traffic.drain()
        changed = [file for file, a, b in zip(self._files, self._working, self._committed, strict=True) if a != b]
        self.traffic.run([file.flush for file in changed])
        return list(self._working)

    def settle(self) -> None:
        """A checkpoint names the new slots: the old ones may be written from now on."""
        self.traffic.drain()
        self._committed = list(self._working)

    def close(self) -> None:
        """End the threads and let go of the files."""
        self.traffic.close()
        for file in self._files:
            file.close()
        self._lock.release()

    def _wrote(self, at: int, buffer: Buffer) -> None:
        self._writing.discard(at)
        self.release(at, buffer)

    def _await_writing(self, at: int) -> None:
        """What is still under way to the drive cannot be read back yet."""
        if at in self._writing:
            self.traffic.drain()

    def _base(self, at: int) -> int:
        return self._working[at] * self.layout.slot_bytes(self.layout.units[at])

    def _target(self, at: int) -> int:
        return (1 - self._committed[at]) * self.layout.slot_bytes(self.layout.units[at])
