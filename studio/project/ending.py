"""Ending a worker that does not listen any more. The ordinary way is to ask it (`Run.tell`)."""

from __future__ import annotations

import psutil

from studio.errors import UserError
from studio.project.runs import Run

_WAIT_SECONDS = 5.0


def end_worker(run: Run, pid: int) -> None:
    """End the process `pid`, if it is the worker of `run`; what it saved stays.

    Raises:
        UserError: it is not there any more, or not this run's worker.
    """
    try:
        process = psutil.Process(pid)
        command = process.cmdline()
    except psutil.Error as error:
        raise UserError("The process is gone already.", "Resume goes on from what it saved.") from error
    if "studio.worker" not in command or not any(str(run.folder) in part for part in command):
        # The number may belong to another program by now.
        raise UserError(f"Process {pid} is not this run's worker.", "Nothing was ended.")
    process.kill()
    psutil.wait_procs([process], timeout=_WAIT_SECONDS)
