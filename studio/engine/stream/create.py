"""A new store from a model folder, matrix by matrix."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from studio.engine.stream.buffers import Buffer, BufferPool
from studio.engine.stream.schemes import SCHEMES, Scheme
from studio.errors import UserError
from studio.machine.drive_file import REQUEST_BYTES, DriveFile, make_file
from studio.models.spread import begin_parts, remove_parts
from studio.models.store_layout import Layout, Unit
from studio.models.stored_weights import unit_path
from studio.sizes import human_bytes

_JUDGED_BYTES = 256 << 20
_SLOW = 200e6
Load = Callable[[str], torch.Tensor]


@dataclass(frozen=True)
class Made:
    """How the making of a store went; `rate` is 0 where too little was written to judge a drive by."""

    is_direct: bool
    rate: float

    @property
    def is_slow(self) -> bool:
        """Slower than any drive without moving parts that is at hand."""
        return 0 < self.rate < _SLOW


def make_store(
    folder: Path, layout: Layout, load: Load, progress: Callable[[int, int], None] = lambda done, total: None
) -> Made:
    """Write a model's weights into slot 0; all state begins as zeros, which a fresh file holds unwritten.

    Args:
        folder: emptied first.
        load: a matrix by its name, any dtype.
        progress: told (bytes of units that are laid out, all bytes).

    Raises:
        UserError: there is no room on the drive, or it fails.
    """
    remove_parts(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    begin_parts(folder, layout)
    for place in layout.folders:
        needed = sum(2 * layout.slot_bytes(unit) for unit in layout.units if unit.folder == place)
        free = shutil.disk_usage(place or folder).free
        if needed > free:
            remove_parts(folder)
            raise UserError(
                f"Streaming this model takes {human_bytes(needed)} on the drive of {Path(place or folder).parent},"
                f" {human_bytes(free)} are free.",
                "Free some space, move the project to another drive, or choose a method.scheme with less state.",
            )
    pool, scheme, seconds, is_direct = BufferPool(pinned=False), SCHEMES[layout.scheme](), 0.0, True
    done = 0
    for unit in layout.units:
        progress(done, layout.total_bytes)
        done += 2 * layout.slot_bytes(unit)
        make_file(unit_path(folder, unit), 2 * layout.slot_bytes(unit))
        file = DriveFile(unit_path(folder, unit))
        is_direct = is_direct and file.is_direct
        seconds += fill_unit(file, layout, unit, scheme, load, pool)
        file.close()
    progress(done, layout.total_bytes)
    layout.save(folder)
    written = sum(unit.weight_bytes for unit in layout.units)
    return Made(is_direct, written / seconds if written >= _JUDGED_BYTES and seconds else 0.0)


def fill_unit(file: DriveFile, layout: Layout, unit: Unit, scheme: Scheme, load: Load, pool: BufferPool) -> float:
    """Write one unit tile by tile; the seconds that the drive took."""
    sources, seconds = {tensor.name: load(tensor.name).reshape(-1) for tensor in unit.tensors}, 0.0
    for first, end in layout.tiles(unit):
        weights, residual = pool.take(2 * (end - first)), torch.zeros(end - first, dtype=torch.int16)
        weights.bytes.zero_()
        for tensor in unit.tensors:
            start, stop = max(first, tensor.start), min(end, tensor.end)
            if start < stop:
                part = slice(start - first, stop - first)
                piece = sources[tensor.name][start - tensor.start : stop - tensor.start]
                master = piece.to(torch.float32, copy=True)
                scheme.split(master, weights.view(torch.int16)[part], {"r": residual[part]}, None)
        begun = time.perf_counter()
        _write(file, weights, 2 * first, len(weights.memory))
        if layout.parts and bool(residual.any()):
            _write_residual(file, layout, unit, first, residual, pool)
        seconds += time.perf_counter() - begun
        pool.give(weights)
    begun = time.perf_counter()
    file.flush()
    return seconds + time.perf_counter() - begun


def _write_residual(
    file: DriveFile, layout: Layout, unit: Unit, first: int, residual: torch.Tensor, pool: BufferPool
) -> None:
    """What is missing to fp32, where the base has more than 16 bits."""
    size = layout.part_bytes(layout.parts[0], len(residual))
    record = pool.take(size)
    record.view(getattr(torch, layout.parts[0].dtype))[: len(residual)].copy_(residual)
    _write(file, record, layout.record_offset(unit, first), size)
    pool.give(record)


def _write(file: DriveFile, buffer: Buffer, offset: int, size: int) -> None:
    memory = memoryview(buffer.memory)
    for at in range(0, size, REQUEST_BYTES):
        file.write(memory[at : min(size, at + REQUEST_BYTES)], offset + at)
