"""The weights and optimizer state of a model on the drive, unit by unit; see `models/store_layout.py` for the files.

Crash safety: a unit is only ever written into the slot that the newest checkpoint does not name. `flush` brings all of
it down to the drive and tells which slots are new; the checkpoint that says so is the flip; `settle` is told of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

import psutil
import torch
from filelock import FileLock, Timeout

from studio.engine.stream.buffers import Buffer, BufferPool
from studio.engine.stream.sums import Sums
from studio.engine.stream.traffic import Reading, Traffic
from studio.errors import UserError
from studio.machine.drive_file import DriveFile
from studio.models.store_layout import PAGE, Layout, pages
from studio.models.stored_weights import unit_path

_LEAST_SPARE = 0.1
"""Share of the memory that was free at the opening: with less left, cached weights are given back."""

Numbers = Callable[[], tuple[torch.Tensor, torch.Tensor | None]]
"""Waits for weights and what is missing to fp32."""


class Store:
    """An open store.

    Args:
        folder: made by `create.make_store`.
        layout: as read from it.
        slots: of each unit, the slot that holds what the newest checkpoint means.
        cached: the numbers of the units whose weights stay in memory.
        cached_records: (unit, first number) of the tiles whose records stay there as well. They are written all the
            same, since the store is the checkpoint; it is their reading that is saved.
        pinned: whether buffers are registered with the card.
        shared: whether it is only read, by as many as like to.

    Attributes:
        cached, cached_records: see above; fewer than at first once memory has become scarce.
        is_direct: whether the page cache is passed by.
    """

    def __init__(
        self,
        folder: Path,
        layout: Layout,
        slots: list[int],
        *,
        cached: set[int],
        cached_records: set[tuple[int, int]] | None = None,
        pinned: bool,
        shared: bool = False,
    ) -> None:
        self.folder, self.layout = folder, layout
        self.pool, self.traffic = BufferPool(pinned=pinned), Traffic(len(layout.folders))
        _check_sizes(folder, layout, slots=1 if shared else 2)
        self._lock = None if shared else _lock(folder)
        self._files = [DriveFile(unit_path(folder, unit)) for unit in layout.units]
        self.is_direct = all(file.is_direct for file in self._files)
        self._committed, self._working = list(slots), list(slots)
        self.cached, self.cached_records = set(cached), set(cached_records or ())
        self._least_spare = int(_spare_bytes() * _LEAST_SPARE)
        self._kept: dict[int, Buffer] = {}
        self._kept_records: dict[tuple[int, int], Buffer] = {}
        self._writing: set[int] = set()
        self._sums = Sums(folder, layout) if shared else None

    def read_weights(self, at: int) -> Reading:
        """Begin to read all 16-bit weights of a unit."""
        self._await_writing(at)
        if at in self._kept:
            return Reading(self._kept[at])
        unit = self.layout.units[at]
        buffer = self.pool.take(unit.weight_bytes)
        reading = self.traffic.read(self._files[at], buffer, [(self._base(at), 0, unit.weight_bytes)])
        return self._sums.watch(reading, at) if self._sums else reading

    def wait(self, reading: Reading) -> Buffer:
        """The filled buffer of a reading."""
        return self.traffic.wait(reading)

    def release(self, at: int, buffer: Buffer) -> None:
        """A unit's weights are not needed for now; cached ones stay, unless others need the memory by now."""
        if at in self.cached and _spare_bytes() < self._least_spare:
            self.cached.discard(at)
            self._kept.pop(at, None)
        elif at in self.cached:
            self._kept[at] = buffer
        else:
            self.pool.give(buffer)

    def read_residuals(self, at: int) -> Reading | None:
        """Begin to read what is missing to fp32, of all tiles; None where the scheme keeps nothing of it."""
        unit, layout = self.layout.units[at], self.layout
        if not layout.parts:
            return None
        self._await_writing(at)
        places, kept, end = [], [], 0
        for first, last in layout.tiles(unit):
            start, end = end, end + layout.part_bytes(layout.parts[0], last - first)
            if (at, first) in self._kept_records:
                kept.append((self._kept_records[at, first], start, end))
            else:
                places.append((self._base(at) + layout.record_offset(unit, first), start, end))
        buffer = self.pool.take(end)
        for record, start, end in kept:
            buffer.bytes[start:end].copy_(record.bytes[: end - start])
        return self.traffic.read(self._files[at], buffer, places)

    def read_span(self, at: int, first: int, end: int, *, rest: bool) -> tuple[Reading, Reading | None]:
        """Begin to read the weights of a tile, and with `rest` what is missing to fp32."""
        self._await_writing(at)
        layout, file = self.layout, self._files[at]
        weights = self.pool.take(2 * (end - first))
        reading = self.traffic.read(file, weights, [(self._base(at) + 2 * first, 0, len(weights.memory))])
        if self._sums:
            self._sums.watch(reading, at, first // layout.units[at].tile)
        if not (rest and layout.parts):
            return reading, None
        size = layout.part_bytes(layout.parts[0], end - first)
        offset = self._base(at) + layout.record_offset(layout.units[at], first)
        return reading, self.traffic.read(file, self.pool.take(size), [(offset, 0, size)])

    def record_part(self, buffer: Buffer, numbers: int) -> torch.Tensor:
        """The residuals that `read_span` brought."""
        return buffer.view(getattr(torch, self.layout.parts[0].dtype))[:numbers]

    def read_numbers(self, at: int, first: int, end: int, *, rest: bool) -> Numbers:
        """Begin to read weights `first` to `end` (a few rows), and with `rest` what is missing to fp32."""
        self._await_writing(at)
        weights = self._read_piece(at, 2 * first, 2 * end)
        if not (rest and self.layout.parts):
            return lambda: (weights().view(torch.int16), None)
        part, unit = self.layout.parts[0], self.layout.units[at]
        tile = unit.tile or self.layout.tile
        offset = self.layout.record_offset(unit, first // tile * tile) + part.item_bytes * (first % tile)
        kept = self._read_piece(at, offset, offset + part.item_bytes * (end - first))
        return lambda: (weights().view(torch.int16), kept().view(getattr(torch, part.dtype)))

    def write_span(self, at: int, first: int, buffer: Buffer) -> None:
        """Begin to write the weights of a tile; the buffer goes back to the pool by itself."""
        size = len(buffer.memory)
        self.traffic.write(
            self._files[at], buffer, self._target(at) + 2 * first, 0, size, lambda: self.pool.give(buffer)
        )

    def finish(self, at: int) -> None:
        """All tiles of a unit are under way: it is read from the new slot, once they are there."""
        self.traffic.drain()
        self._working[at] = 1 - self._committed[at]

    def read_record(self, at: int, first: int, end: int) -> Reading:
        """Begin to read the record of a tile. One that stays in memory is lent: until it is written again, weights that
        are read late still find in it what is missing to fp32.
        """
        kept = self._kept_records.get((at, first))
        if kept is not None:
            return Reading(kept)
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
        """Begin to write a record; the buffer goes back to the pool by itself, or stays as the tile's record."""
        offset = self._target(at) + self.layout.record_offset(self.layout.units[at], first)
        wrote = partial(self._wrote_record, (at, first), buffer)
        self.traffic.write(self._files[at], buffer, offset, 0, len(buffer.memory), wrote)

    def write_weights(self, at: int, buffer: Buffer) -> None:
        """Begin to write a unit's weights, after all its records: from now on it is read from the new slot."""
        size = self.layout.units[at].weight_bytes
        self._writing.add(at)
        self.traffic.write(self._files[at], buffer, self._target(at), 0, size, lambda: self._wrote(at, buffer))
        self._working[at] = 1 - self._committed[at]

    def leaving_bytes(self) -> int:
        """Of units' weights that are on their way to the drive, whose memory is not free yet."""
        self.traffic.look()
        return sum(self.layout.units[at].weight_bytes for at in self._writing)

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

    @property
    def is_settled(self) -> bool:
        """Whether nothing is newer than the newest checkpoint."""
        return self._working == self._committed

    def roll_back(self, units: Collection[int]) -> None:
        """These units are again as the newest checkpoint has them; what stays of them in memory may not be."""
        self.traffic.drain()
        for at in units:
            self._working[at] = self._committed[at]
            self._kept.pop(at, None)
        self._kept_records = {tile: kept for tile, kept in self._kept_records.items() if tile[0] not in units}

    def close(self) -> None:
        """End the threads and let go of the files."""
        self.traffic.close()
        for file in self._files:
            file.close()
        if self._lock is not None:
            self._lock.release()

    def _wrote(self, at: int, buffer: Buffer) -> None:
        self._writing.discard(at)
        self.release(at, buffer)

    def _wrote_record(self, tile: tuple[int, int], buffer: Buffer) -> None:
        if tile in self.cached_records and _spare_bytes() < self._least_spare:
            self.cached_records.discard(tile)
            self._kept_records.pop(tile, None)
        elif tile in self.cached_records:
            self._kept_records[tile] = buffer
        else:
            self.pool.give(buffer)

    def _await_writing(self, at: int) -> None:
        """What is still under way to the drive cannot be read back yet."""
        if at in self._writing:
            self.traffic.drain()

    def _read_piece(self, at: int, start: int, end: int) -> Callable[[], torch.Tensor]:
        """Begin to read any bytes of a unit's newest slot, by way of the pages that they lie on; what gives a copy."""
        low, size = start // PAGE * PAGE, pages(end) - start // PAGE * PAGE
        reading = self.traffic.read(self._files[at], self.pool.take(size), [(self._base(at) + low, 0, size)])

        def piece() -> torch.Tensor:
            buffer = self.wait(reading)
            found = buffer.bytes[start - low : end - low].clone()
            self.pool.give(buffer)
            return found

        return piece

    def _base(self, at: int) -> int:
        return self._working[at] * self.layout.slot_bytes(self.layout.units[at])

    def _target(self, at: int) -> int:
        return (1 - self._committed[at]) * self.layout.slot_bytes(self.layout.units[at])


def _lock(folder: Path) -> FileLock:
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(
            "Another run is training on these streamed weights.", "Wait until it has ended, or stop it."
        ) from error
    return lock


def _check_sizes(folder: Path, layout: Layout, *, slots: int) -> None:
    """A file that lost its end (a copy cut short, a repaired file system) is told before the first step."""
    for unit in layout.units:
        path, size = unit_path(folder, unit), slots * layout.slot_bytes(unit)
        if path.is_file() and path.stat().st_size < size:
            raise UserError(
                f"The streamed weights are damaged: {path.name} holds {path.stat().st_size} of its {size} bytes.",
                f"Start a new run. If {folder.parent.name} was copied, copy it again.",
            )


def _spare_bytes() -> int:
    return psutil.virtual_memory().available
