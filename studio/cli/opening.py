"""After unpacking: where the model and the rows are on this computer."""

from __future__ import annotations

import sys
from pathlib import Path

import typer
from rich.console import Console

from studio.errors import Cancelled, UserError
from studio.models.fingerprint import fingerprint, fingerprint_file
from studio.models.source import resolve_model
from studio.project.bundle_rules import Manifest
from studio.project.folder import Project


def confirm(question: str, *, is_said: bool) -> None:
    """Ask before going on.

    Raises:
        UserError: nobody can be asked, and the answer was not given on the command line.
        Cancelled: the answer was no.
    """
    if is_said:
        return
    if not sys.stdin.isatty():
        raise UserError("Nothing was written: nobody is there to be asked.", "Say --yes after looking at the list.")
    if not typer.confirm(question):
        raise Cancelled


def place(project: Project, manifest: Manifest, *, model: str, data: str, console: Console) -> None:
    """Write the model's and the rows' places into the draft, as far as they are known.

    Raises:
        UserError: what was named is not what the project was made with.
    """
    spec = project.draft()
    if model or (manifest.model.is_local and sys.stdin.isatty()):
        model = model or typer.prompt(f"Your folder of the model {manifest.model.name} (empty: later)", default="")
    if model:
        folder = resolve_model(model)
        _compare(fingerprint(folder), manifest.model.fingerprint, f"The model {model}")
        spec = spec.model_copy(update={"model": spec.model.model_copy(update={"source": str(folder)})})
    if data:
        _compare(fingerprint_file(Path(data)), manifest.data.fingerprint, f"The file {data}")
        spec = spec.model_copy(update={"data": spec.data.model_copy(update={"path": str(Path(data).resolve())})})
    project.save(spec)
    if manifest.model.is_local and not model:
        console.print(
            f"Put the model {manifest.model.name} at {project.folder / spec.model.source}, or set model.source."
        )
    if not manifest.data.is_included and not data:
        console.print(f"Put the rows {manifest.data.name} at {project.folder / spec.data.path}, or set data.path.")
    console.print(str(project.folder))


def _compare(found: str, known: str, what: str) -> None:
    if known and found != known:
        raise UserError(
            f"{what} is not the one that the project was made with.", "Unpacked all the same; set it later."
        )
