"""The record that a run was started on purpose although its forecast said that it would hardly fit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from studio.errors import UserError
from studio.paths import write_text
from studio.project.run_keeping import read_notes, write_notes
from studio.project.runs import Run
from studio.spec.file import dump, load_yaml

_FILE = "override.yaml"


@dataclass(frozen=True)
class Override:
    """What was overridden.

    Attributes:
        when: ISO time.
        reason: the forecast's sentence.
        peak_bytes, limit_bytes: what it foresaw, and what was free.
    """

    when: str
    reason: str
    peak_bytes: int
    limit_bytes: int


def record_override(run: Run, reason: str, *, peak_bytes: int, limit_bytes: int) -> Override:
    """Keep it in the run's folder, and say it in the run's notes, where people look."""
    made = Override(datetime.now(UTC).isoformat(timespec="seconds"), reason, peak_bytes, limit_bytes)
    write_text(run.folder / _FILE, dump(asdict(made)))
    write_notes(run, f"{read_notes(run)}Started on purpose against the forecast: {reason}\n")
    return made


def read_override(run: Run) -> Override | None:
    """What was overridden; None when nothing was, or the record cannot be read."""
    try:
        return Override(**load_yaml(run.folder / _FILE))
    except (UserError, TypeError):
        return None
