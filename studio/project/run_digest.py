"""A finished look at one run for the table of all runs: its held-out curve, its peak, its time. Read in one go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from studio.errors import UserError
from studio.project.columns import Array
from studio.project.curve_reduce import envelope
from studio.project.curves import RunCurves
from studio.project.journal import EventReader
from studio.project.run_keeping import RunSizes, measure, read_notes
from studio.project.runs import Run
from studio.protocol import events

_BITE_BYTES = 16_000  # a millisecond or two
_MOST_POINTS = 1000


@dataclass(frozen=True)
class Curve:
    """A curve by three measures of how far a run had come: (n,) each."""

    step: Array
    seconds: Array
    tokens: Array
    loss: Array


@dataclass(frozen=True)
class RunDigest:
    """What the page of runs shows of one run.

    Attributes:
        held_out: loss on rows it never learns from.
        smoothed: training loss, for runs without held-out rows.
        peak_bytes: the most memory in use, of the card where there is one.
        active_seconds: training time, without the time between sessions.
        before: held-out loss before the first step.
        samples: (prompt, answer before, answer last), one a prompt.
        fingerprints: of "model" and "data", as they were when the run was made.
        num_skipped: lines of its journal that could not be read.
    """

    held_out: Curve
    smoothed: Curve
    peak_bytes: int = 0
    active_seconds: float = 0.0
    all_tokens: int = 0
    before: float | None = None
    best: tuple[int, float] | None = None
    samples: tuple[tuple[str, str, str], ...] = ()
    num_skipped: int = 0
    sizes: RunSizes = field(default_factory=RunSizes)
    notes: str = ""
    fingerprints: dict[str, str] = field(default_factory=dict)


def digest(run: Run, *, give_way: Callable[[], object] = lambda: None) -> RunDigest:
    """Read a run's journal, whatever can be read of it. Takes a second for some 100,000 events: not for the window.

    Args:
        give_way: called between bites.
    """
    reader, curves = EventReader(run.events_path), RunCurves()
    for batch in reader.rest(_BITE_BYTES):
        curves.take(batch)
        give_way()
    return RunDigest(
        held_out=_held_out(curves),
        smoothed=_smoothed(curves),
        peak_bytes=curves.peak_bytes("gpu" if curves.has_gpu else "ram"),
        active_seconds=curves.active_seconds,
        all_tokens=int(curves.steps.last("all_tokens", 0)),
        before=curves.before,
        best=curves.best,
        samples=tuple(_before_and_last(curves.answers(prompt)) for prompt in curves.prompts()),
        num_skipped=reader.num_skipped,
        sizes=measure(run),
        notes=read_notes(run),
        fingerprints=_fingerprints(run),
    )


def _fingerprints(run: Run) -> dict[str, str]:
    try:
        return run.fingerprints
    except (OSError, UserError):
        return {}


def _held_out(curves: RunCurves) -> Curve:
    keep = np.isfinite(curves.evals["loss"])
    step, seconds, tokens, loss = (curves.evals[name][keep] for name in ("step", "active", "all_tokens", "loss"))
    return Curve(step, seconds, tokens, loss)


def _smoothed(curves: RunCurves) -> Curve:
    step, loss = envelope(curves.steps["step"], curves.smoothed(), _MOST_POINTS // 2)
    at = np.searchsorted(curves.steps["step"], step)
    return Curve(step, curves.steps["active"][at], curves.steps["all_tokens"][at], loss)


def _before_and_last(answers: list[events.Sample]) -> tuple[str, str, str]:
    first = answers[-1]
    return first.prompt, first.text if first.step == 0 else "", answers[0].text if answers[0].step else ""
