"""A corrected answer becomes a row of the project's own data. The person's file is never changed: a copy of it is.

A copy that a run was made from stays as it is too, else that run could not be resumed or reproduced.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.data.conversation import Example, Message, RowError
from studio.data.source import first_rows, open_source
from studio.data.store.copying import Changes, next_copy, write_copy
from studio.errors import UserError
from studio.formats import FORMATS, Recognised, recognise
from studio.project.folder import Project
from studio.project.lines import file_size, is_torn
from studio.spec.places import data_path
from studio.spec.run_spec import DataSection, RunSpec

_OWN_COPY = re.compile(r"-edited-\d+\.jsonl$")
_ANY_CONVERSATION = "messages"  # the format that holds every conversation
_PAIRS = "preferences.jsonl"
_PAIR_COLUMNS = {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"}

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Correction:
    """What a model should have said.

    Attributes:
        messages: the conversation up to and with the question.
        chosen: the right answer.
        rejected: the model's own answer, to be kept as the worse one; "" keeps none.
    """

    messages: tuple[Message, ...]
    chosen: str
    rejected: str = ""

    def example(self) -> Example:
        """As a row to learn from."""
        rejected = Message("assistant", self.rejected) if self.rejected.strip() else None
        return Example(messages=(*self.messages, Message("assistant", self.chosen)), rejected=rejected)


@dataclass(frozen=True)
class Added:
    """Where a correction went.

    Attributes:
        spec: the draft that reads it; the old one where its file only grew.
        row: its number among the rows.
        grown: files that had been there, and the bytes they had before.
        pairs: the file of preference pairs, where one was kept.
    """

    spec: RunSpec
    row: int
    grown: tuple[tuple[Path, int], ...]
    pairs: Path | None = None


def next_row(project: Project, spec: RunSpec) -> int:
    """The number that the next row gets.

    Raises:
        UserError: the data cannot be read.
    """
    return open_source(data_path(spec.data.path, project.folder)).count() + 1


def add_correction(
    project: Project,
    spec: RunSpec,
    correction: Correction,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Added:
    """Put a correction into the data of `spec`, a draft with its paths as written.

    Raises:
        UserError: such data can hold no corrected answer, or a file cannot be read or written.
        Cancelled: `is_cancelled` said so while a first copy was made; nothing was added.
    """
    if not correction.chosen.strip():
        raise UserError("The corrected answer is empty.", "Write what the model should have said.")
    path = data_path(spec.data.path, project.folder)
    source = open_source(path)
    found = recognise(first_rows(source), spec.data.columns, spec.data.format)
    number, plan = source.count() + 1, _plan(found, first_rows(source, 1)[0], correction)
    grown: list[tuple[Path, int]] = []
    try:
        if plan.change is None and _may_grow(project, path):
            grown.append((path, _append(path, plan.row)))
        else:
            copy = next_copy(project.folder / "data", path)
            changes = Changes(change=plan.change)
            write_copy(path, copy, changes, on_progress=on_progress, is_cancelled=is_cancelled)
            _append(copy, plan.row)
            spec = _reading(spec, copy.relative_to(project.folder).as_posix(), plan)
        pairs = _keep_pair(project, correction) if plan.keeps_pair_apart else None
    except OSError as error:
        raise UserError(f"The correction cannot be written: {error.strerror or error}.") from error
    if pairs is not None:
        grown.append(pairs)
    return Added(spec, number, tuple(grown), pairs[0] if pairs else None)


def take_back(added: Added) -> None:
    """Undo what grew; a copy that was made for it stays, for the draft to come back to."""
    for path, size in added.grown:
        os.truncate(path, size)


@dataclass(frozen=True)
class _Plan:
    """The row to add; what must be done to all others so that they stand beside it; whether the pair goes apart."""

    row: Row
    change: Callable[[Row], Row] | None
    keeps_pair_apart: bool


def _plan(found: Recognised, sample: Row, correction: Correction) -> _Plan:
    example = correction.example()
    try:
        row = found.write(example)
        return _Plan(row, None, example.rejected is not None and found.read(row).rejected is None)
    except RowError as error:
        if not _is_plain_conversation(found, sample):
            raise UserError(
                f"A row of this data {error}.", "Correct answers in a project whose data are questions and answers."
            ) from error
    wide = Recognised(FORMATS.get(_ANY_CONVERSATION), {"messages": "messages"}, "")
    return _Plan(wide.write(example), lambda row: _widened(row, found, wide), example.rejected is not None)


def _is_plain_conversation(found: Recognised, sample: Row) -> bool:
    """Whether rows may be written as turns without losing what they are for."""
    try:
        example = found.read(sample)
    except RowError:
        return False
    return bool(example.messages) and example.rejected is None


def _widened(row: Row, found: Recognised, wide: Recognised) -> Row:
    try:
        return wide.write(found.read(row))
    except RowError:
        return row  # it could not be used before and cannot be now; the check tells of it


def _may_grow(project: Project, path: Path) -> bool:
    """Whether it is a copy of ours that no run was made from."""
    if path.parent != project.folder / "data" or not _OWN_COPY.search(path.name):
        return False
    for run in project.runs():
        try:
            if Path(run.spec().data.path) == path:
                return False
        except UserError:
            return False  # a damaged record may name it
    return True


def _reading(spec: RunSpec, path: str, plan: _Plan) -> RunSpec:
    changed: dict[str, Any] = {"path": path}
    if plan.change is not None:
        changed |= {"format": DataSection.model_fields["format"].default, "columns": {}}
    return spec.model_copy(update={"data": spec.data.model_copy(update=changed)})


def _keep_pair(project: Project, correction: Correction) -> tuple[Path, int]:
    path = project.folder / "data" / _PAIRS
    return path, _append(path, FORMATS.get("preference").write(correction.example(), _PAIR_COLUMNS))


def _append(path: Path, row: Row) -> int:
    """Write a line at the end; returns the bytes there were before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size, lead = file_size(path), b"\n" if is_torn(path) else b""
    with path.open("ab") as file:
        file.write(lead + json.dumps(row).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return size
