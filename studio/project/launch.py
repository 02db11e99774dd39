"""Starts the detached workers that train a run. They outlive whoever started them; the run folder is the only tie."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from studio.errors import UserError
from studio.project.jobs import worker_environment
from studio.project.lines import file_size
from studio.project.runs import Run

_START_SECONDS = 60.0


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
    return process


def last_log_lines(path: Path, count: int = 200) -> str:
    """The end of a worker's log, for a report on how it ended."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file_size(path) - 100_000))
            return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-count:])
    except FileNotFoundError:
        return ""


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
