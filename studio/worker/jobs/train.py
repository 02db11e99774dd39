"""The training job: opens a run, prepares its method, and hands it to the loop. Its journal is the run folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from studio.machine.priority import give_way
from studio.project.journal import CommandLog, EventLog
from studio.project.runs import Run
from studio.protocol.events import Done, Event
from studio.worker.job import Context, Job


def _run(context: Context, arguments: dict[str, Any]) -> Done:
    """Train the run at `arguments["run"]`; with `resume`, from its newest complete checkpoint."""
    run = Run.open(Path(arguments["run"]))
    is_main = int(os.environ.get("RANK", "0")) == 0
    if is_main:
        context.closing.enter_context(run.lock())
        journal = EventLog(run.events_path)
        context.closing.callback(journal.close)
        context.emit = journal.append  # type: ignore[assignment]
    else:
        context.emit = _silent
    # Commands count from when this session was asked for: what an earlier one was told does not stop it, and a stop
    # that was asked for while it was starting does.
    inbox = CommandLog(run.commands_path, arguments.get("commands_from"))

    from studio.engine.device import is_processor  # heavy
    from studio.worker.training import train  # heavy

    if is_processor(run.spec().train.device):
        give_way()  # a card is kept waiting by whoever feeds it
    return train(run, context.emit, inbox.poll, resume=bool(arguments.get("resume")), learns=True)


def _silent(event: Event) -> None:
    """Only the first of several processes writes the journal."""


JOB = Job(key="train", run=_run, listens=False)
