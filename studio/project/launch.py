"""Starts the detached workers that train a run. They outlive whoever started them; the run folder is the only tie."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from studio.errors import UserError
from studio.project.jobs import describe_exit, worker_environment
from studio.project.journal import EventLog
from studio.project.lines import file_size
from studio.project.runs import Run
from studio.protocol import events

_START_SECONDS = 60.0
_LAST_LINES = 40


def start_run(run: Run, *, processes: int = 1, resume: bool = False) -> subprocess.Popen[bytes]:
    """Start training a run in the background, and return once its worker holds the run (or has ended).

    Args:
        run: its folder.
        processes: how many processes of this machine share the work (torch's own launcher starts them).
        resume: go on from the newest complete checkpoint.

    Returns:
        The process: it has a `pid`, and `poll()` tells its exit code. It need not be waited for.

    Raises:
        UserError: the run is being worked on already.
    """
    if run.is_running():
        raise UserError(f"The run {run.name} is running already.", f'Follow it with "tunesmith watch {run.folder}".')
    arguments = {"run": str(run.folder), "resume": resume, "commands_from": file_size(run.commands_path)}
    said_before = file_size(run.events_path)
    with run.log_path.open("ab") as log:
        process = subprocess.Popen(
            _command(arguments, processes),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=_environment(processes),
            cwd=run.folder,
            **_detached(),
        )
    _wait_for_lock(run, process)
    if process.poll() and file_size(run.events_path) == said_before:
        _speak_for(run, process.returncode)
    return process


def last_log_lines(path: Path, count: int = 200) -> str:
    """The end of a worker's log, for a report on how it ended."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file_size(path) - 100_000))
            return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-count:])
    except FileNotFoundError:
        return ""


def _speak_for(run: Run, code: int) -> None:
    """The last word of a worker that died before it could say one: whoever follows the run must hear of it."""
    with contextlib.suppress(UserError), run.lock():  # another worker has taken the run up: it will speak for itself
        log = EventLog(run.events_path)
        hint = "The process log says what it met."
        detail = last_log_lines(run.log_path, _LAST_LINES)
        log.append(events.Failed(kind="bug", message=describe_exit(code), hint=hint, detail=detail))
        log.close()


def _command(arguments: dict[str, Any], processes: int) -> list[str]:
    worker = ["-m", "studio.worker", "train", json.dumps(arguments)]
    if processes == 1:
        return [sys.executable, *worker]
    # By module, never by looking a program up: the interpreter is the one thing known to be ours.
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [sys.executable, *launcher, *worker]


def _environment(processes: int) -> dict[str, str]:
    environment = worker_environment()
    if processes > 1:
        environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    return environment


def _detached() -> dict[str, Any]:
    """Its own session, so that closing the terminal or the window does not end it."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}
    return {"start_new_session": True}


def _wait_for_lock(run: Run, process: subprocess.Popen[bytes]) -> None:
    """Until then nobody else could tell that the run is being worked on."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None and not run.is_running():
        time.sleep(0.05)
