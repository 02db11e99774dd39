"""How models are listed in a terminal, and how one is deleted there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from studio.cli.opening import confirm
from studio.errors import UserError, nearest
from studio.models.hub_search import FoundModel
from studio.models.on_disk import ModelOnDisk, delete_model
from studio.project.model_users import projects_using
from studio.sizes import human_bytes

Line = dict[str, Any]


def found_lines(found: Sequence[FoundModel]) -> list[Line]:
    """What a search found, as plain values."""
    return [
        {
            "name": model.name,
            "kind": "here" if model.is_here else "gated" if model.is_gated else "hub",
            "parameters": model.parameters,
            "bytes": model.weight_bytes,
            "note": model.licence,
        }
        for model in found
    ]


def print_models(models: Sequence[ModelOnDisk] | list[Line], console: Console, *, as_json: bool) -> None:
    """One line a model: name, where from, weights, size, and what is to be known."""
    lines = [model if isinstance(model, dict) else _line(model) for model in models]
    if as_json:
        typer.echo(json.dumps(lines, indent=1))
        return
    table = Table(box=None, pad_edge=False)
    for title in ("model", "from", "weights", "size", ""):
        table.add_column(title, justify="right" if title in ("weights", "size") else "left", overflow="fold")
    for line in lines:
        weights = f"{line['parameters'] / 1e6:,.1f} M" if line["parameters"] else "-"
        size = human_bytes(line["bytes"]) if line["bytes"] else "-"
        table.add_row(line["name"], line["kind"], weights, size, line["note"])
    console.print(table)


def delete_named(name: str, models: Sequence[ModelOnDisk], console: Console, *, is_said: bool) -> None:
    """Delete a model that came from the Hub, once that was confirmed.

    Raises:
        UserError: there is none of this name, or it may not be deleted.
        Cancelled: the answer was no.
    """
    found = next((model for model in models if name in (model.source, model.title)), None)
    if found is None:
        raise UserError(f'There is no model "{name}" here.', nearest(name, [model.source for model in models]))
    used = projects_using(found.source)
    for project in used:
        console.print(f"The project {project} uses it.")
    confirm(f"Delete {found.title} ({human_bytes(found.size_bytes)})?", is_said=is_said)
    console.print(f"{human_bytes(delete_model(found))} freed.")


def _line(model: ModelOnDisk) -> Line:
    return {
        "name": model.source,
        "kind": model.kind,
        "parameters": model.facts.num_parameters if model.facts else 0,
        "bytes": model.size_bytes,
        "note": model.problem,
        "folder": str(model.folder),
    }
