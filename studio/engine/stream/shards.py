"""A frozen base laid out for streaming: made once, read by any number of runs, known by its fingerprint.

One file a layer (see `models/store_layout.py`), with one slot, since nothing is ever written to it again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from filelock import FileLock

from studio.engine.stream.buffers import BufferPool
from studio.engine.stream.create import Load, fill_unit
from studio.engine.stream.schemes import Scheme, widened
from studio.engine.stream.sums import is_damaged, save_sums, sums_of
from studio.errors import UserError
from studio.machine.drive_file import DriveFile, make_file
from studio.models.store_layout import Layout, Part, Unit, read_layout
from studio.models.stored_weights import unit_path
from studio.models.streamed_copies import copies_dir, sign
from studio.sizes import human_bytes

Progress = Callable[[int, int], None]
"""(bytes that are done, all of them)."""
Pack = Callable[[str], torch.Tensor]


class FrozenScheme(Scheme):
    """Weights that are only read: bf16 as torch rounds to it."""

    key = "frozen"
    parts = ()

    def master(
        self, weights: torch.Tensor, record: dict[str, torch.Tensor], out: torch.Tensor | None = None
    ) -> torch.Tensor:
        return widened(weights, out)

    def split(
        self,
        master: torch.Tensor,
        weights: torch.Tensor,
        record: dict[str, torch.Tensor],
        noise: torch.Tensor | None,
    ) -> None:
        weights.copy_(master.to(torch.bfloat16).view(torch.int16))


class ExactScheme(Scheme):
    """Weights that are only read: bf16, and what is missing to fp32."""

    key = "frozen-exact"
    parts = (Part("r", "int16", 2),)


def shards_folder(layout: Layout) -> Path:
    """Where the shards of this layout lie or will lie."""
    return copies_dir() / f"{layout.model[:24]}-{layout.scheme}"


def ready_shards(
    layout: Layout, scheme: Scheme, load: Load, pack: Pack | None, progress: Progress, *, name: str
) -> Path:
    """The folder of a layout's shards, made now where they are not there yet.

    Args:
        load: a matrix by its name.
        pack: a layer's matrix as its 4-bit piece, where layers are kept so.
        name: of the base, for people.

    Raises:
        UserError: there is no room on the drive, or it fails.
    """
    folder = shards_folder(layout)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not _is_there(folder, layout):
            _make(folder, layout, scheme, load, pack, progress)
            sign(folder, name)
    return folder


def _is_there(folder: Path, layout: Layout) -> bool:
    """Whether the same layout is there, whole."""
    try:
        found = read_layout(folder)
        sizes = [unit_path(folder, unit).stat().st_size for unit in layout.units]
    except (UserError, OSError):
        return False
    return not is_damaged(folder) and found == layout and sizes == [layout.slot_bytes(unit) for unit in layout.units]


def _make(folder: Path, layout: Layout, scheme: Scheme, load: Load, pack: Pack | None, progress: Progress) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    total, free = layout.total_bytes // 2, shutil.disk_usage(folder).free
    if total > free:
        raise UserError(
            f"Streaming this model takes {human_bytes(total)} on the drive of {folder.parent},"
            f" {human_bytes(free)} are free.",
            "Free some space, or set TUNESMITH_HOME to a folder on a larger drive.",
        )
    pool, done, sums = BufferPool(pinned=False), 0, []
    try:
        for unit in layout.units:
            progress(done, total)
            make_file(unit_path(folder, unit), layout.slot_bytes(unit))
            file = DriveFile(unit_path(folder, unit))
            try:
                if pack is not None and not unit.tile:
                    _fill_packed(file, unit, pack, pool)
                else:
                    fill_unit(file, layout, unit, scheme, load, pool)
                sums.append(sums_of(file, layout, unit, pool))
            finally:
                file.close()
            done += layout.slot_bytes(unit)
        save_sums(folder, sums)
        layout.save(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    progress(done, total)


def _fill_packed(file: DriveFile, unit: Unit, pack: Pack, pool: BufferPool) -> None:
    buffer = pool.take(unit.weight_bytes)
    buffer.bytes.zero_()
    for tensor in unit.tensors:
        piece = pack(tensor.name)
        buffer.bytes[2 * tensor.start : 2 * tensor.start + len(piece)].copy_(piece)
    file.write(memoryview(buffer.memory), 0)
    file.flush()
    pool.give(buffer)
