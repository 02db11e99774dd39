"""A project's runs as rows: state, figures, and the settings in which they differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from studio.errors import UserError
from studio.project.runs import Run
from studio.sizes import human_number
from studio.spec.words import title_of


def as_rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One JSON-ready row a run, oldest first. A run whose record is damaged is listed with the reason."""
    rows = [_row(run) for run in runs]
    names = differing([row["settings"] for row in rows])
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
        row["settings"] = flat_settings(run.frozen_spec().model_dump(mode="json"))
    except UserError as error:
        row.update(status="damaged", message=error.message)
    return row


def flat_settings(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by path: "train.batch_size" -> 4."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        path = f"{prefix}{name}"
        flat |= flat_settings(value, f"{path}.") if isinstance(value, Mapping) else {path: value}
    return flat


def differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Paths whose values are not the same in all runs that have them.

    A setting that only one method knows is no difference: the method itself is. A damaged run has none.
    """
    names = dict.fromkeys(name for each in settings for name in each)
    return [name for name in names if len({str(each[name]) for each in settings if name in each}) > 1]


def setting_words(path: str, value: Any) -> str:
    """A setting in few words, by its title: "rank 16", "packing", "packing off"; "" when it is not there."""
    title = title_of(path) or path.rpartition(".")[2].replace("_", " ")
    is_name = any(map(str.isupper, title[1:]))  # DoRA, NEFTune
    words = title if is_name else title[:1].lower() + title[1:]
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return words if value else f"{words} off"
    if path.endswith(".key"):
        return str(value)
    return f"{words} {_short(value)}"


def _short(value: Any) -> str:
    if isinstance(value, float):
        return human_number(value, 6)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    text = str(value)
    return PurePath(text).name if "/" in text or "\\" in text else text
