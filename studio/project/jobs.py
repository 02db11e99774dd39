"""Starts worker processes and reads what they say. Used by the command line, the window and workers of workers."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from studio.errors import Cancelled, Problem, UserError
from studio.protocol import commands, events

_SPINS = "1000"
"""How often a waiting thread of torch's looks again before it sleeps. Left alone it is 300,000 times, milliseconds in
which it takes the core from the thread that it waits for wherever other programs run: steps took 5 to 40 times longer
on two busy cores. A thousand bridges the gap between two operations."""


class WorkerFailed(Exception):
    """A worker ended with a bug, a crash or a signal. `detail` holds its traceback or last lines."""

    def __init__(self, message: str, hint: str = "", detail: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message, self.hint, self.detail = message, hint, detail


class JobProcess:
    """A worker of one job over standard streams. Use as a context manager: leaving it ends the worker.

    Iterating yields events until the last one; `done` is yielded, `failed` is raised (UserError or WorkerFailed).
    """

    def __init__(self, job: str, arguments: dict[str, Any], *, log: Path | None = None) -> None:
        """Start it.

        Args:
            job: a key of `studio/worker/jobs`.
            arguments: given to the job as they are (JSON types).
            log: where its stderr goes; this process's stderr is used when None.
        """
        self._log: IO[bytes] | None = log.open("ab") if log else None
        self._process = subprocess.Popen(
            [sys.executable, "-m", "studio.worker", job, json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=worker_environment(),
        )

    def __enter__(self) -> JobProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[events.Event]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = events.decode(line)
            if isinstance(event, events.Failed):
                raise_failure(event)
            yield event
            if isinstance(event, events.Done):
                if event.reason == "cancelled":
                    raise Cancelled
                return
        raise WorkerFailed(describe_exit(self._process.wait()), "See the log for its last lines.")

    def tell(self, command: commands.Command) -> None:
        """Send a command; a worker that has already gone is no error."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(commands.encode(command).encode() + b"\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            return

    def end(self, timeout_seconds: float = 10) -> None:
        """End the worker from another thread than the one that reads: what it still says is read to its end.

        Its stdin closes, which cancels it; after the timeout it is killed.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it has gone, or the other thread closed it
            self._process.stdin.close()
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def close(self, timeout_seconds: float = 10) -> None:
        """End the worker: its stdin closes, which cancels it; after the timeout it is killed."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):  # it left with our last words unread
                    stream.close()
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._log is not None:
            self._log.close()


def run_to_result(job: str, arguments: dict[str, Any], *, log: Path | None = None) -> dict[str, Any]:
    """Run a job to its end and return the value of its `result` event.

    Raises:
        UserError, WorkerFailed, Cancelled: as the worker ended.
    """
    value: dict[str, Any] = {}
    with JobProcess(job, arguments, log=log) as process:
        for event in process:
            if isinstance(event, events.Result):
                value = event.value
    return value


def raise_failure(event: events.Failed) -> None:
    """Turn a worker's last word back into the error that it was."""
    if event.kind == "user":
        raise UserError(event.message, event.hint, problems=[Problem(**problem) for problem in event.problems])
    raise WorkerFailed(event.message, event.hint, event.detail)


def describe_exit(code: int) -> str:
    """A sentence for an exit code: how a worker ended that said no last word."""
    if code == -9:
        return "The background process was killed, most often because memory ran out."
    if code == -11:
        return "The background process crashed in native code (segmentation fault)."
    if code < 0:
        return f"The background process was ended by signal {-code}."
    return f"The background process ended with exit code {code} without a word."


def worker_environment() -> dict[str, str]:
    """The environment of every worker: UTF-8 everywhere, threads that do not wait at the others' cost."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
    own = {"PYTHONUTF8": "1", "PYTHONPATH": path, "HF_HUB_DISABLE_TELEMETRY": "1"}
    return {"GOMP_SPINCOUNT": _SPINS, **os.environ, **own}
