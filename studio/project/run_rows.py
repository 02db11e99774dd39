"""A project's runs as rows: state, figures, and the settings in which they differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from studio.errors import UserError
from studio.project.runs import Run


def as_rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One JSON-ready row a run, oldest first. A run whose record is damaged is listed with the reason."""
    rows = [_row(run) for run in runs]
    names = _differing([row["settings"] for row in rows])
    return [{**row, "differs": {name: row["settings"].get(name) for name in names}} for row in rows]


def _row(run: Run) -> dict[str, Any]:
    state = run.state()
    row: dict[str, Any] = {
        "name": run.name,
        "folder": str(run.folder),
        "status": state.status,
        "reason": state.reason,
        "message": state.message,
        "step": state.step,
        "total": state.total,
        "loss": None if math.isnan(state.loss) else state.loss,
        "first_eval": state.first_eval,
        "best_eval": state.best_eval,
        "best_step": state.best_step,
        "last_eval": state.last_eval,
        "started": state.started,
        "updated": state.updated,
        "settings": {},
    }
    try:
        row["settings"] = _flat(run.frozen_spec().model_dump(mode="json"))
    except UserError as error:
        row.update(status="damaged", message=error.message)
    return row


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    known = [each for each in settings if each]
    names = dict.fromkeys(name for each in known for name in each)
    return [name for name in names if len({str(each.get(name)) for each in known}) > 1]
