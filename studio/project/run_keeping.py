"""What a person does with runs that have been made: notes, sizes, deleting, and the draft for another like it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from studio.errors import UserError
from studio.models.spread import absent_parts, parts_of, remove_parts
from studio.paths import write_text
from studio.project.folder import Project
from studio.project.runs import STORE, Run
from studio.spec.run_spec import RunSpec

_NOTES = "notes.txt"
_MOST_NOTES_BYTES = 200_000


@dataclass(frozen=True)
class RunSizes:
    """Bytes of a run's folder: all of it, and the parts that weigh.

    Attributes:
        absent: folders of it on other drives that are not there now, and not counted.
    """

    total: int = 0
    checkpoints: int = 0
    num_checkpoints: int = 0
    result: int = 0
    absent: tuple[Path, ...] = ()


def read_notes(run: Run) -> str:
    """The person's notes, "" when there are none (or no readable ones)."""
    try:
        with (run.folder / _NOTES).open(encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_NOTES_BYTES)
    except OSError:
        return ""


def write_notes(run: Run, text: str) -> None:
    """Keep the notes in the run's folder, where they travel with it.

    Raises:
        UserError: the folder is gone or cannot be written to.
    """
    try:
        if not run.folder.is_dir():
            raise FileNotFoundError
        write_text(run.folder / _NOTES, text)
    except OSError as error:
        raise UserError(
            f"The notes of {run.name} cannot be kept: its folder is gone or cannot be written to.",
            "Copy them before you leave.",
        ) from error


def measure(run: Run) -> RunSizes:
    """How much of the disk a run takes. What vanishes meanwhile does not count."""
    steps = run.checkpoints()
    return RunSizes(
        total=folder_bytes(run.folder) + sum(map(folder_bytes, parts_of(run.folder / STORE))),
        checkpoints=folder_bytes(run.checkpoints_dir),
        num_checkpoints=len(steps),
        result=folder_bytes(run.result_dir),
        absent=tuple(absent_parts(run.folder / STORE)),
    )


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; links are not followed."""
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += folder_bytes(Path(entry.path))
                else:
                    total += _entry_bytes(entry)
    except OSError:
        return total
    return total


def delete_run(run: Run) -> list[Path]:
    """Delete a run's folder for good: record first, so that a half-deleted run is no run.

    Returns:
        Folders of it on other drives that are not there now, and so stay if those drives are connected again.

    Raises:
        UserError: it is being worked on, or something in it cannot be deleted.
    """
    if run.is_running():
        raise UserError(f"{run.name} is training.", "Stop it first.")
    if not (run.spec_path.is_file() or run.events_path.is_file()):
        raise UserError(f"{run.folder} is no run.", "Nothing was deleted.")
    absent = absent_parts(run.folder / STORE)
    try:
        run.spec_path.unlink(missing_ok=True)
        remove_parts(run.folder / STORE)
        shutil.rmtree(run.folder)
    except OSError as error:
        raise UserError(
            f"Not all of {run.name} could be deleted: {error.strerror or error}.", f"What is left is in {run.folder}."
        ) from error
    return absent


def delete_checkpoints(run: Run) -> None:
    """Free the space of a finished run's checkpoints; its result stays.

    Raises:
        UserError: it is being worked on, has no result, or something cannot be deleted.
    """
    if run.is_running():
        raise UserError(f"{run.name} is training.", "Stop it first.")
    if not any(run.result_dir.glob("*.safetensors")):
        raise UserError(f"{run.name} has no result yet: its checkpoints are all it has.", "Resume it first.")
    try:
        shutil.rmtree(run.checkpoints_dir)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"Not all checkpoints could be deleted: {error.strerror or error}.") from error


def reproduction(run: Run, project: Project) -> RunSpec:
    """The draft that makes the same run again: its frozen spec, with paths inside the project kept relative.

    Raises:
        UserError: the record is damaged.
    """
    spec = run.frozen_spec()
    data = Path(spec.data.path)
    if data.is_absolute() and data.is_relative_to(project.folder):
        path = data.relative_to(project.folder).as_posix()
        spec = spec.model_copy(update={"data": spec.data.model_copy(update={"path": path})})
    return spec


def _entry_bytes(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0
