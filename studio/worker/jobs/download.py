"""Fetching a model from the Hub, for whoever must not wait: the window. The command line fetches by itself."""

from __future__ import annotations

import time
from typing import Any

from studio.errors import Cancelled
from studio.protocol.events import Phase, Result
from studio.worker.job import Context, Job

_SECONDS_BETWEEN = 0.1


def _run(context: Context, arguments: dict[str, Any]) -> None:
    """Fetch the model `arguments["source"]` at `arguments["revision"]`; the result is its folder and its facts."""
    from studio.models.facts import read_facts
    from studio.models.source import resolve_model

    folder = resolve_model(str(arguments["source"]), str(arguments.get("revision", "")), on_progress=_Meter(context))
    facts = read_facts(folder)
    context.emit(Result(value={"folder": str(folder), "bytes": facts.weight_bytes, "parameters": facts.num_parameters}))


class _Meter:
    """Tells how many bytes are here, some times a second, and stops when told to; what came over is kept."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._said = 0.0

    def __call__(self, done: float, total: float, what: str) -> None:
        if self._context.cancelled.is_set():
            raise Cancelled
        now = time.monotonic()
        if done >= total or now - self._said >= _SECONDS_BETWEEN:
            self._said = now
            self._context.emit(Phase(name=f"Downloading {what}", done=done, total=total, unit="bytes"))


JOB = Job(key="download", run=_run)
