"""Evaluation of a run: held-out loss and perplexity of the tuned model beside its base, on the run's own rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.project.runs import Run
from studio.protocol.events import Result
from studio.worker.job import Context, Job


def _run(context: Context, arguments: dict[str, Any]) -> None:
    """Evaluate the run at `arguments["run"]`, at `arguments["checkpoint"]` (a step) or its result."""
    from studio.worker.evaluation import evaluate  # heavy

    run = Run.open(Path(arguments["run"]))
    context.emit(Result(value=evaluate(run, arguments.get("checkpoint"), context)))


JOB = Job(key="evaluate", run=_run)
