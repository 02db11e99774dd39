"""A new store from a model folder, matrix by matrix."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from studio.engine.stream.buffers import Buffer, BufferPool
from studio.engine.stream.drive_file import REQUEST_BYTES, DriveFile, make_file
from studio.engine.stream.schemes import SCHEMES, Scheme
from studio.errors import UserError
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


def make_store(folder: Path, layout: Layout, load: Load) -> Made:
    """Write a model's weights into slot 0; all state begins as zeros, which a fresh file holds unwritten.

    Args:
        folder: emptied first.
        load: a matrix by its name, any dtype.

    Raises:
        UserError: there is no room on the drive, or it fails.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    free = shutil.disk_usage(folder).free
    if layout.total_bytes > free:
        raise UserError(
            f"Streaming this model takes {human_bytes(layout.total_bytes)} on the drive of {folder.parent},"
            f" {human_bytes(free)} are free.",
            "Free some space, move the project to another drive, or choose a method.scheme with less state.",
        )
    pool, scheme, seconds, is_direct = BufferPool(pinned=False), SCHEMES[layout.scheme](), 0.0, True
    for unit in layout.units:
        make_file(unit_path(folder, unit), 2 * layout.slot_bytes(unit))
        file = DriveFile(unit_path(folder, unit))
        is_direct = is_direct and file.is_direct
        seconds += _fill(file, layout, unit, scheme, load, pool)
        file.close()
    layout.save(folder)
    written = sum(unit.weight_bytes for unit in layout.units)
    return Made(is_direct, written / seconds if written >= _JUDGED_BYTES and seconds else 0.0)


def _fill(file: DriveFile, layout: Layout, unit: Unit, scheme: Scheme, load: Load, pool: BufferPool) -> float:
    """Write one unit; the seconds that the drive took."""
    weights = pool.take(unit.weight_bytes)
    weights.bytes.zero_()
    has_rest = bool(layout.parts)
    residual = torch.zeros(unit.numbers, dtype=torch.int16)
    for tensor in unit.tensors:
        part = slice(tensor.start, tensor.end)
        master = load(tensor.name).to(torch.float32, copy=True).reshape(-1)
        scheme.split(master, weights.view(torch.int16)[part], {"r": residual[part]}, None)
    begun = time.perf_counter()
    _write(file, weights, 0, unit.weight_bytes)
    if has_rest and bool(residual.any()):
        for first, end in layout.tiles(unit):
            size = layout.part_bytes(layout.parts[0], end - first)
            record = pool.take(size)
            kept = getattr(torch, layout.parts[0].dtype)
            record.view(kept)[: end - first].copy_(residual[first:end])
            _write(file, record, layout.record_offset(unit, first), size)
            pool.give(record)
    file.flush()
    pool.give(weights)
    return time.perf_counter() - begun


def _write(file: DriveFile, buffer: Buffer, offset: int, size: int) -> None:
    memory = memoryview(buffer.memory)
    for at in range(0, size, REQUEST_BYTES):
        file.write(memory[at : min(size, at + REQUEST_BYTES)], offset + at)
