"""`python -m studio.worker JOB ARGUMENTS`: one job, events out on a private descriptor, commands in on stdin.

The real standard output is moved aside first, so that a stray print from a C library can never corrupt the wire.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import signal
import sys
import threading
import time
import traceback
from typing import IO

from studio.errors import Cancelled, UserError
from studio.machine.priority import give_way
from studio.protocol import commands, events
from studio.worker.job import JOBS, Context


def main() -> int:
    """Run the job named on the command line; 0 done, 1 failed, 2 wrong input, 130 cancelled."""
    faulthandler.enable()
    wire = _take_stdout()
    context = Context(emit=_Sender(wire))
    key, arguments = sys.argv[1], json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    with context.closing:
        return run_job(key, arguments, context)


def run_job(key: str, arguments: dict[str, object], context: Context) -> int:
    """Run one job and say its last word."""
    try:
        job = JOBS.get(key)
        if job.gives_way:
            give_way()
        if job.listens:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for whoever started us; they then tell us
            threading.Thread(target=_listen, args=(context,), daemon=True, name="stdin").start()
        last = job.run(context, arguments) or events.Done()
    except Cancelled:
        context.emit(events.Done(reason="cancelled"))
        return 130
    except UserError as error:
        context.emit(failure(error))
        return 2
    except Exception as error:  # noqa: BLE001 - reported as a bug with its traceback, never swallowed
        traceback.print_exc()
        context.emit(failure(error))
        return 1
    context.emit(last)
    return 0


def failure(error: Exception) -> events.Failed:
    """The last word for an error: what a person can put right, or a bug with its traceback."""
    if isinstance(error, UserError):
        problems = [problem.as_dict() for problem in error.problems]
        return events.Failed(kind="user", message=error.message, hint=error.hint, problems=problems)
    detail = "".join(traceback.format_exception(error))
    return events.Failed(
        kind="bug",
        message=f"{type(error).__name__}: {error}",
        hint="This is a fault in Tunesmith. The log has the details.",
        detail=detail,
    )


class _Sender:
    """Numbers, dates and writes events, one line each, from any thread."""

    def __init__(self, wire: IO[str]) -> None:
        self._wire = wire
        self._lock = threading.Lock()
        self._seq = 0

    def __call__(self, event: events.Event) -> None:
        with self._lock:
            self._seq += 1
            stamped = event.model_copy(update={"seq": self._seq, "time": time.time()})
            with contextlib.suppress(BrokenPipeError):  # whoever asked has gone; the closed input says so too
                self._wire.write(events.encode(stamped) + "\n")
                self._wire.flush()


def _take_stdout() -> IO[str]:
    """Keep the real stdout for events; whatever prints from now on goes to stderr."""
    private = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(private, "w", encoding="utf-8", newline="\n")


def _listen(context: Context) -> None:
    """Commands from stdin. Its end means that whoever asked has gone: the job is cancelled."""
    rest = b""
    # Not sys.stdin: a thread that waits in its buffer makes the interpreter abort at its end.
    while chunk := os.read(0, 1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                context.tell(commands.decode(line))
    context.closed.set()
    context.tell(commands.Cancel())


if __name__ == "__main__":
    sys.exit(main())
