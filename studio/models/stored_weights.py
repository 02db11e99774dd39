"""A streamed run's weights as a checkpoint means them, read one at a time straight from the store."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from studio.models.store_layout import Layout, StoredTensor, Unit, read_layout

if TYPE_CHECKING:
    import torch

POINTER = "store.json"
VECTORS = "vectors.safetensors"


@dataclass(frozen=True)
class StoredWeights:
    """A store and the slots that a checkpoint means.

    Attributes:
        folder: of the store.
        pointer: the checkpoint's `weights`.
    """

    folder: Path
    pointer: Path
    layout: Layout
    slots: list[int]

    def matrices(self) -> dict[str, tuple[int, StoredTensor]]:
        """Name -> (number of its unit, place in it)."""
        return {t.name: (at, t) for at, unit in enumerate(self.layout.units) for t in unit.tensors}

    def load(self, at: int, tensor: StoredTensor) -> torch.Tensor:
        """One matrix in fp32."""
        master = read_numbers(self.folder, self.layout, at, self.slots[at], tensor.start, tensor.end)
        return master.view(tensor.shape)

    def vectors(self) -> dict[str, torch.Tensor]:
        """Norms and biases, in fp32."""
        from safetensors.torch import load_file  # heavy

        return dict(load_file(self.pointer / VECTORS))


def is_stored(weights: Path) -> bool:
    """Whether a checkpoint's `weights` only names slots of a store."""
    return (weights / POINTER).is_file()


def open_stored(weights: Path) -> StoredWeights:
    """What a checkpoint's `weights` points to.

    Raises:
        UserError: the store is not there any more.
    """
    values = json.loads((weights / POINTER).read_text(encoding="utf-8"))
    folder = (weights / values["store"]).resolve()
    return StoredWeights(folder, weights, read_layout(folder), list(values["slots"]))


def write_pointer(weights: Path, folder: Path, slots: list[int], vectors: dict[str, torch.Tensor]) -> None:
    """Make a checkpoint's `weights`: a few lines, and the vectors that are in no store."""
    from safetensors.torch import save_file  # heavy

    weights.mkdir(parents=True, exist_ok=True)
    values = {"version": 1, "store": Path(os.path.relpath(folder, weights)).as_posix(), "slots": slots}
    (weights / POINTER).write_text(json.dumps(values), encoding="utf-8")
    save_file({name: v.detach().cpu().contiguous() for name, v in vectors.items()}, weights / VECTORS)


def unit_path(folder: Path, unit: Unit) -> Path:
    """The file of a unit."""
    return Path(unit.folder or folder) / f"{unit.name}.bin"


def read_numbers(folder: Path, layout: Layout, at: int, slot: int, start: int, end: int) -> torch.Tensor:
    """Numbers `start` to `end` of a unit in fp32: weight and residual put together, the file itself only mapped."""
    import torch  # heavy

    unit = layout.units[at]
    size = layout.slot_bytes(unit)
    data = torch.from_file(str(unit_path(folder, unit)), size=2 * size, dtype=torch.uint8)[slot * size :]
    bits = data[2 * start : 2 * end].view(torch.int16).to(torch.int32)
    if not layout.parts:
        return bits.bitwise_left_shift_(16).view(torch.float32)
    rest = layout.parts[0]
    shift = 8 * rest.item_bytes
    bits.bitwise_left_shift_(shift)
    for first, last in layout.tiles(unit):
        low, high = max(first, start), min(last, end)
        if low < high:
            base = layout.record_offset(unit, first) + rest.item_bytes * (low - first)
            kept = data[base : base + rest.item_bytes * (high - low)].view(getattr(torch, rest.dtype))
            bits[low - start : high - start].add_(kept)
    return bits.bitwise_left_shift_(16 - shift).view(torch.float32)
