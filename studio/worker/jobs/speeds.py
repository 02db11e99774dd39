"""Measures this computer's speeds once; every forecast knows times from then on."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from studio.machine.bench import remember_speeds
from studio.machine.resources import read_resources
from studio.paths import cache_dir
from studio.protocol.events import Phase, Result
from studio.worker.job import Context, Job


def _run(context: Context, arguments: dict[str, Any]) -> None:
    """Measure on the disk of the cache folder."""
    from studio.engine.speeds import measure_speeds  # heavy

    found = measure_speeds(cache_dir(), lambda what: context.emit(Phase(name=f"Measuring {what}")))
    remember_speeds(read_resources(cache_dir()), found)
    context.emit(Result(value=asdict(found)))


JOB = Job(key="speeds", run=_run)
