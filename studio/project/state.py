"""What state a run is in, read from its events and from whether its lock is held."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from studio.project.journal import decode_event, supersede
from studio.project.lines import each_line
from studio.protocol import events

Status = Literal["new", "running", "done", "stopped", "paused", "failed", "interrupted"]
_ENDINGS: dict[str, Status] = {"stopped": "stopped", "paused": "paused", "cancelled": "stopped"}


@dataclass(frozen=True)
class RunState:
    """A run at a glance.

    Attributes:
        status: "running" while its lock is held; "interrupted" when it ended without a last word; "new" when it
            never began.
        step, total: optimizer steps done and planned (0 when not known).
        loss: of the last step, not-a-number before the first.
        first_eval, best_eval, last_eval: held-out loss, None when it was never measured.
        best_step: where the best was.
        reason, message, hint: of its last word.
        started, updated: Unix seconds of the first and last event, 0 when there is none.
        pid: of the newest session's worker.
        sessions: how often a worker took the run up.
    """

    status: Status = "new"
    step: int = 0
    total: int = 0
    loss: float = float("nan")
    first_eval: float | None = None
    best_eval: float | None = None
    last_eval: float | None = None
    best_step: int = 0
    reason: str = ""
    message: str = ""
    hint: str = ""
    started: float = 0.0
    updated: float = 0.0
    pid: int = 0
    sessions: int = 0

    @property
    def is_unfinished(self) -> bool:
        """Whether `resume` makes sense."""
        return self.status in ("stopped", "paused", "failed", "interrupted")


def summarise(path: Path, *, is_running: bool, give_way: Callable[[], object] = lambda: None) -> RunState:
    """The state of the run whose events are at `path`. Reads the file once, decoding only the telling lines.

    Args:
        give_way: called between bites.
    """
    journal = supersede(_telling(each_line(path, give_way)))
    hellos = [event for event in journal if isinstance(event, events.Hello)]
    evals = [event for event in journal if isinstance(event, events.Eval)]
    steps = [event for event in journal if isinstance(event, events.Step)]
    plans = [event for event in journal if isinstance(event, events.Phase) and event.unit == "steps"]
    last = journal[-1] if journal else None
    best = min((event for event in evals if event.loss == event.loss), key=lambda event: event.loss, default=None)
    return RunState(
        status=status_of(last, is_running=is_running),
        # A session that was killed as it began has said where it takes up, which no step that is left may show.
        step=max(steps[-1].step if steps else 0, hellos[-1].step if hellos else 0),
        total=int(plans[-1].total) if plans else hellos[-1].total_steps if hellos else 0,
        loss=steps[-1].loss if steps else float("nan"),
        first_eval=evals[0].loss if evals else None,
        best_eval=best.loss if best else None,
        last_eval=evals[-1].loss if evals else None,
        best_step=best.step if best else 0,
        reason=last.reason if isinstance(last, events.Done) else "",
        message=last.message if isinstance(last, events.Failed) else "",
        hint=last.hint if isinstance(last, events.Failed) else "",
        started=journal[0].time if journal else 0.0,
        updated=journal[-1].time if journal else 0.0,
        pid=hellos[-1].pid if hellos else 0,
        sessions=len(hellos),
    )


def status_of(last: events.Event | None, *, is_running: bool) -> Status:
    """What a run is doing, or how it ended: from its journal's last event and whether a worker holds it."""
    if is_running:
        return "running"
    if isinstance(last, events.Failed):
        return "failed"
    if isinstance(last, events.Done):
        return _ENDINGS.get(last.reason, "done")
    return "interrupted" if last is not None else "new"


def _telling(lines: Iterable[bytes]) -> list[events.Event]:
    """The events a summary needs. Of the steps only each session's last is decoded: a long run has millions."""
    chosen: list[bytes] = []
    last_step = b""
    for line in lines:
        if b'"learning_rate"' in line and b'"step"' in line:
            last_step = line
        elif b'"memory"' not in line and b'"sample"' not in line:
            if b'"hello"' in line and last_step:
                chosen.append(last_step)
                last_step = b""
            chosen.append(line)
    # The last step goes before the last word, which must stay last.
    ordered = [*chosen[:-1], last_step, *chosen[-1:]] if last_step else chosen
    return [event for event in map(decode_event, ordered) if event is not None]
