"""What a job is, and what it is given to talk with."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from studio.protocol.commands import Cancel, Command, Stop
from studio.protocol.events import Done, Event
from studio.units import Registry


@dataclass
class Context:
    """A running job's ears and mouth.

    Attributes:
        emit: sends one event; safe from any thread.
        inbox: commands as they arrive.
        cancelled: set once the person asked to cancel or stop; long loops look at it.
        closed: set once standard input has ended: whoever asked has gone.
        closing: what is let go of after the last word (a run's lock, its journal).
    """

    emit: Callable[[Event], None]
    inbox: SimpleQueue[Command] = field(default_factory=SimpleQueue)
    cancelled: threading.Event = field(default_factory=threading.Event)
    closed: threading.Event = field(default_factory=threading.Event)
    closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def tell(self, command: Command) -> None:
        """Put a command into the inbox (called by the reader thread)."""
        if isinstance(command, Cancel | Stop):
            self.cancelled.set()
        self.inbox.put(command)


@dataclass(frozen=True)
class Job:
    """Something a worker process does.

    Attributes:
        key: its name on the command line of `python -m studio.worker`.
        run: does the work, and may return a last word of its own; raises UserError for what a person can put right,
            Cancelled when told to end.
        listens: whether commands come on standard input, whose end then cancels the job.
        gives_way: whether it is long work that a person does other things beside.
    """

    key: str
    run: Callable[[Context, dict[str, Any]], Done | None]
    listens: bool = True
    gives_way: bool = False


JOBS: Registry[Job] = Registry("studio.worker.jobs", "JOB", "job")
