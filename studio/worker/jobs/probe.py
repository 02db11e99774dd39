"""The probe: one training step of a draft traced without weights and, where there is a card, measured on it."""

from __future__ import annotations

from typing import Any

from studio.protocol.events import Result
from studio.worker.job import Context, Job


def _run(context: Context, arguments: dict[str, Any]) -> None:
    """Probe the draft `arguments["spec"]` (plain values, absolute paths)."""
    from studio.worker.probing import probe_draft  # heavy

    context.emit(Result(value=probe_draft(arguments["spec"], context)))


JOB = Job(key="probe", run=_run)
