"""Rows of a bench as the program's own batches, and those batches written down for a peer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from studio.data.batches import Batches
from studio.data.token_rows import TokenRow
from tests.bench.fixtures import read_rows


class MemoryRows:
    """`TokenRows` over rows that are in memory already."""

    def __init__(self, rows: list[dict[str, list[int]]]) -> None:
        self._rows = [
            TokenRow(np.array(row["ids"], np.int32), np.array(row["labels"]) != -100, number)
            for number, row in enumerate(rows, 1)
        ]

    def __len__(self) -> int:
        return len(self._rows)

    def wait_for(self, count: int) -> int:
        """All rows are there at once."""
        return min(count, len(self._rows))

    def row(self, at: int) -> TokenRow:
        """One row."""
        return self._rows[at]

    def lengths(self, start: int, stop: int) -> np.ndarray:
        """Tokens of each row."""
        return np.array([len(row.ids) for row in self._rows[start:stop]])


def batches_of(job: dict[str, Any]) -> Batches:
    """The job's rows, in order."""
    return Batches(
        MemoryRows(read_rows(Path(job["rows"]))),  # type: ignore[arg-type]
        batch_size=job["batch_size"],
        max_length=job["max_length"],
        packing=job["packing"],
        shuffle=False,
    )


def write_packs(job: dict[str, Any], path: Path, steps: int) -> Path:
    """The first micro-batches' packs as rows {"ids", "labels", "seq_lengths"}, in order, for a peer to take over."""
    stream = batches_of(job).iterate()
    with path.open("w") as file:
        for _ in range(steps):
            batch = next(stream)
            for ids, labels, positions, keep in zip(
                batch.input_ids, batch.labels, batch.position_ids, batch.attention_mask, strict=True
            ):
                starts = np.flatnonzero(positions[keep] == 0)
                pack = {
                    "ids": ids[keep].tolist(),
                    "labels": labels[keep].tolist(),
                    "seq_lengths": np.diff(np.append(starts, keep.sum())).tolist(),
                }
                file.write(json.dumps(pack) + "\n")
    return path
