"""Checksums of a frozen base's weights, so that a drive that forgets is told apart from a model that does not learn."""

from __future__ import annotations

import json
import zlib
from functools import partial
from pathlib import Path

from studio.engine.stream.buffers import Buffer, BufferPool
from studio.engine.stream.traffic import Reading
from studio.errors import UserError
from studio.machine.drive_file import DriveFile
from studio.models.store_layout import Layout, Unit
from studio.paths import write_text

_NAME, _DAMAGED = "sums.json", "damaged"


def sums_of(file: DriveFile, layout: Layout, unit: Unit, pool: BufferPool) -> list[int]:
    """Read a unit's weights back from the drive: one sum of a layer, one of each tile of an end."""
    found: list[int] = []
    for first, end in layout.tiles(unit):
        buffer = pool.take(2 * (end - first))
        file.read(memoryview(buffer.memory), 2 * first)
        if unit.tile or not found:
            found.append(zlib.crc32(buffer.memory))
        else:
            found[0] = zlib.crc32(buffer.memory, found[0])
        pool.give(buffer)
    return found


def save_sums(folder: Path, sums: list[list[int]]) -> None:
    """Of all units, in their order."""
    write_text(folder / _NAME, json.dumps(sums))


def is_damaged(folder: Path) -> bool:
    """Whether a run found so."""
    return (folder / _DAMAGED).exists()


class Sums:
    """Checks each piece the first time it is read as a whole (rows of an embedding that are looked up are not).

    Args:
        folder: of the shards; those of an earlier version have no sums, and nothing is checked.
    """

    def __init__(self, folder: Path, layout: Layout) -> None:
        self._folder, self._layout = folder, layout
        path = folder / _NAME
        sums: list[list[int]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
        self._left = {(at, number): total for at, own in enumerate(sums) for number, total in enumerate(own)}

    def watch(self, reading: Reading, at: int, number: int = 0) -> Reading:
        """Have a reading of a layer, or of the tile `number` of an end, checked when it is waited for."""
        if (at, number) in self._left:
            reading.check = partial(self._check, at, number)
        return reading

    def _check(self, at: int, number: int, buffer: Buffer) -> None:
        if self._left.pop((at, number), found := zlib.crc32(buffer.memory)) == found:
            return
        write_text(self._folder / _DAMAGED, "")
        raise UserError(
            f"The streamed copy of the base is damaged: {self._layout.units[at].name}.bin is not what was written.",
            "Resume the run: the copy is made anew from the model. If it happens again, the drive is failing.",
        )
