"""Where a streamed model's numbers lie on the drive: one file a unit (a decoder layer or a piece of one, an end).

A file holds two slots. A slot is all 16-bit weights of the unit, then one record of optimizer state for each tile of
them. A step writes the slot that the newest checkpoint does not name, so a checkpoint is the list of slots and nothing
is ever copied. Everything starts and ends on a page, as direct input and output demands. No torch here.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import groupby
from math import lcm, prod
from pathlib import Path
from typing import Any

from studio.errors import UserError
from studio.paths import write_text

VERSION = 1
PAGE = 4096
ALIGN = 256
"""Numbers: a tensor begins at a multiple, so that no block of 8-bit state and no vector register spans two tensors."""
TILE = 1 << 20
"""Numbers of a tile, about, where a scheme or an end has no need of its own."""
DESCRIPTION = "store.json"


@dataclass(frozen=True)
class StoredTensor:
    """A matrix in a unit: its numbers begin `start` numbers into it."""

    name: str
    shape: tuple[int, ...]
    start: int

    @property
    def numbers(self) -> int:
        return prod(self.shape)

    @property
    def end(self) -> int:
        return self.start + self.numbers


@dataclass(frozen=True)
class Part:
    """One kind of number in a tile's record: `share` items of `item_bytes` for each weight (1/256 for block scales)."""

    name: str
    dtype: str
    item_bytes: int
    every: int = 1


@dataclass(frozen=True)
class Unit:
    """What is read, trained and written together.

    Attributes:
        name: for people and for its file; `layer-` and the layer's number, with the piece's behind it, or `end-`.
        tensors: its matrices.
        numbers: all of them with the gaps between, a whole number of pages in 16 bits.
        tile: numbers of a full tile, where a unit has its own (whole rows of an embedding); 0 takes the layout's.
        folder: of its file where that lies on another drive; "" is the store's own.
    """

    name: str
    tensors: tuple[StoredTensor, ...]
    numbers: int
    tile: int = 0
    folder: str = ""

    @property
    def weight_bytes(self) -> int:
        return 2 * self.numbers

    @property
    def layer(self) -> int | None:
        """The decoder layer that it is, or is a piece of."""
        kind, number = self.name.split("-")[:2]
        return int(number) if kind == "layer" else None


@dataclass(frozen=True)
class Layout:
    """A store's geometry.

    Attributes:
        scheme: what a record is made of is this scheme's.
        model: fingerprint of the base.
        tile: numbers of a full tile.
        parts: of a record, in order.
        units: in the order of the forward pass.
    """

    scheme: str
    model: str
    tile: int
    parts: tuple[Part, ...]
    units: tuple[Unit, ...]

    def tiles(self, unit: Unit) -> list[tuple[int, int]]:
        """(first, end) numbers of each tile."""
        tile = unit.tile or self.tile
        return [(at, min(unit.numbers, at + tile)) for at in range(0, unit.numbers, tile)]

    def part_bytes(self, part: Part, numbers: int) -> int:
        """Of one part of a record of so many weights, a whole number of pages."""
        return pages(part.item_bytes * (numbers // part.every))

    def record_bytes(self, numbers: int) -> int:
        """Of the record of a tile of so many weights."""
        return sum(self.part_bytes(part, numbers) for part in self.parts)

    def record_offset(self, unit: Unit, first: int) -> int:
        """Where the record of the tile that begins at `first` lies in a slot; all tiles before it are full."""
        tile = unit.tile or self.tile
        return unit.weight_bytes + first // tile * self.record_bytes(tile)

    def slot_bytes(self, unit: Unit) -> int:
        """Of one slot."""
        return unit.weight_bytes + sum(self.record_bytes(end - first) for first, end in self.tiles(unit))

    @cached_property
    def layers(self) -> list[list[int]]:
        """Numbers of the units of each decoder layer."""
        return [list(units) for _, units in groupby(self._inside, lambda at: self.units[at].layer)]

    @cached_property
    def ends(self) -> list[int]:
        """Numbers of the units outside the layers."""
        return list(range(len(self._inside), len(self.units)))

    @property
    def _inside(self) -> list[int]:
        return [at for at, unit in enumerate(self.units) if unit.layer is not None]

    @property
    def folders(self) -> list[str]:
        """Of its units' files, one on each drive."""
        return sorted({unit.folder for unit in self.units})

    @property
    def total_bytes(self) -> int:
        """Of both slots of all units."""
        return 2 * sum(self.slot_bytes(unit) for unit in self.units)

    def save(self, folder: Path) -> None:
        """Write the description; last, so that a store that has one is complete."""
        write_text(folder / DESCRIPTION, json.dumps({"version": VERSION, **asdict(self)}, indent=1))


def pages(count: int) -> int:
    """Rounded up to whole pages."""
    return -(-count // PAGE) * PAGE


def row_tile(width: int, numbers: int) -> int:
    """About so many numbers, in whole rows and whole pages."""
    step = lcm(width, PAGE // 2)
    return max(step, numbers // step * step)


def lay_out_unit(name: str, shapes: dict[str, tuple[int, ...]], *, tile: int = 0) -> Unit:
    """Matrices one behind the other."""
    tensors, at = [], 0
    for tensor, shape in shapes.items():
        tensors.append(StoredTensor(tensor, tuple(shape), at))
        at += -(-prod(shape) // ALIGN) * ALIGN
    return Unit(name, tuple(tensors), -(-at // (PAGE // 2)) * (PAGE // 2), tile)


def lay_out_layer(at: int, shapes: dict[str, tuple[int, ...]]) -> list[Unit]:
    """A decoder layer in pieces: what follows each other as far as it is no more than the largest matrix."""
    most, pieces = max(map(prod, shapes.values()), default=0), [dict[str, tuple[int, ...]]()]
    for name, shape in shapes.items():
        if pieces[-1] and sum(map(prod, pieces[-1].values())) + prod(shape) > most:
            pieces.append({})
        pieces[-1][name] = shape
    return [lay_out_unit(f"layer-{at:03d}-{number}", piece) for number, piece in enumerate(pieces)]


def read_layout(folder: Path) -> Layout:
    """The layout of a store.

    Raises:
        UserError: there is none, it is damaged, or it is another version's.
    """
    try:
        values: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        if values.pop("version") != VERSION:
            raise UserError(
                "The streamed weights of this run were written by another version of the program.",
                "Go on with the version that began the run, or start a new run.",
            )
        parts = tuple(Part(**part) for part in values.pop("parts"))
        units = tuple(_unit(unit) for unit in values.pop("units"))
        return Layout(**values, parts=parts, units=units)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"The streamed weights in {folder.name} are missing or damaged: {error}.", "Start a new run."
        ) from error


def _unit(values: dict[str, Any]) -> Unit:
    tensors = tuple(StoredTensor(t["name"], tuple(t["shape"]), t["start"]) for t in values["tensors"])
    return Unit(values["name"], tensors, values["numbers"], values["tile"], values.get("folder", ""))
