"""A project's runs as a table for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table


def as_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The rows for a terminal."""
    table = Table(box=None, pad_edge=False)
    for title in ("run", "state", "step", "loss", "held-out", "what differed"):
        table.add_column(title, overflow="fold")
    for row in rows:
        differs = ", ".join(f"{name}={value}" for name, value in row["differs"].items() if value is not None)
        held_out = (
            f"{_number(row['first_eval'])} -> {_number(row['best_eval'])}" if row["best_eval"] is not None else ""
        )
        step = f"{row['step']}/{row['total']}" if row["total"] else str(row["step"])
        table.add_row(row["name"], row["status"], step, _number(row["loss"]), held_out, differs or row["message"])
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
