"""Following a run until its worker's last word, from wherever it stands."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

from studio.project.jobs import WorkerFailed, describe_exit
from studio.project.journal import EventReader
from studio.project.launch import last_log_lines
from studio.project.runs import Run
from studio.protocol import events

_POLL_SECONDS = 0.1


def follow(
    run: Run, offset: int = 0, *, process: subprocess.Popen[bytes] | None = None
) -> Iterator[list[events.Event]]:
    """Batches of events as they come, empty ones in between so that a caller can look at the clock.

    Ends after the worker's last word.

    Args:
        run: whose.
        offset: bytes of the journal to pass over.
        process: the worker, when the caller started it: its end is then noticed at once.

    Raises:
        WorkerFailed: the worker is gone and said no last word.
    """
    reader = EventReader(run.events_path, offset)
    while True:
        is_alive = _is_alive(run, process)
        batch = reader.poll()
        yield batch
        if any(isinstance(event, events.Done | events.Failed) for event in batch[-1:]):
            return
        if not is_alive and not batch:
            raise WorkerFailed(
                _how_it_ended(process),
                f'What it saved is safe; go on with "tunesmith resume {run.folder}". Its log is {run.log_path}.',
                last_log_lines(run.log_path),
            )
        if not batch:
            time.sleep(_POLL_SECONDS)


def wait_for_end(run: Run) -> None:
    """Return once nobody works on the run any more."""
    while run.is_running():
        time.sleep(_POLL_SECONDS)


def _is_alive(run: Run, process: subprocess.Popen[bytes] | None) -> bool:
    return process.poll() is None if process is not None else run.is_running()


def _how_it_ended(process: subprocess.Popen[bytes] | None) -> str:
    if process is None or process.returncode is None:
        return "The background process is gone and said no last word."
    return describe_exit(process.returncode)
