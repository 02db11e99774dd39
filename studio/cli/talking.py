"""A conversation on the terminal: the worker that answers, and the loop that reads questions."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

from studio.errors import UserError
from studio.paths import log_dir
from studio.project.jobs import JobProcess, WorkerFailed
from studio.protocol import commands, events

_HELP = "/reset starts anew, /system TEXT tells the model something first, /quit ends. Ctrl+C stops an answer."


class Conversation:
    """The messages so far and the worker that holds the model. Use as a context manager."""

    def __init__(self, arguments: dict[str, Any], *, system: str | None, sampling: dict[str, Any]) -> None:
        """Start the worker and wait until the model is loaded.

        Raises:
            UserError: the model is not there or cannot be loaded.
        """
        self.name = ""
        self._sampling = sampling
        self._messages: list[dict[str, str]] = []
        self._system, self._turn = system, 0
        self._job = JobProcess("chat", arguments, log=log_dir() / "chat.log")
        self._events: Iterator[events.Event] = iter(self._job)
        try:
            self._wait_until_loaded()
        except BaseException:
            self._job.close(timeout_seconds=0)
            raise
        self.reset()

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self._job.close(timeout_seconds=5)

    def reset(self, system: str | None = None) -> None:
        """Forget everything but the system message; `system` changes it."""
        self._system = system if system is not None else self._system
        self._messages = [{"role": "system", "content": self._system}] if self._system else []

    def ask(self, text: str) -> None:
        """Say something and print the answer while it comes. Ctrl+C stops it; what came is kept.

        Raises:
            UserError: the model cannot answer this (the conversation is too long, the template refuses).
            WorkerFailed: the worker crashed.
        """
        self._turn += 1
        self._messages.append({"role": "user", "content": text})
        say = commands.Say(turn=self._turn, messages=self._messages, sampling=self._sampling)
        self._job.tell(say)
        parts: list[str] = []
        try:
            with _Interrupts(self._job):
                for event in self._until_finished():
                    parts.append(event.text)
                    _write(event.text)
        except UserError:
            self._messages.pop()
            raise
        _write("\n")
        self._messages.append({"role": "assistant", "content": "".join(parts)})

    def _until_finished(self) -> Iterator[events.Token]:
        for event in self._events:
            if isinstance(event, events.Notice) and event.severity == "error":
                raise UserError(event.text, event.hint)
            if isinstance(event, events.Token) and event.turn == self._turn:
                yield event
                if event.finish:
                    return
        raise WorkerFailed("The chat ended unexpectedly.", "See the log for its last lines.")

    def _wait_until_loaded(self) -> None:
        for event in self._events:
            if isinstance(event, events.Result):
                self.name = str(event.value["name"])
                return


class _Interrupts:
    """Ctrl+C while an answer comes: the first stops the answer, the second leaves."""

    def __init__(self, job: JobProcess) -> None:
        self._job, self._came = job, False

    def __enter__(self) -> _Interrupts:
        self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._came:
            raise KeyboardInterrupt
        self._came = True
        self._job.tell(commands.Cancel())


def converse(conversation: Conversation) -> None:
    """Read questions until /quit, the end of input, or Ctrl+C at an empty line."""
    is_terminal = sys.stdin.isatty()
    if is_terminal:
        _write(f"{conversation.name}\n{_HELP}\n")
    while True:
        try:
            line = input("\n> ") if is_terminal else input()
        except (EOFError, KeyboardInterrupt):
            return
        command, _, rest = line.strip().partition(" ")
        if command == "/quit":
            return
        if command in ("/reset", "/system"):
            conversation.reset(rest if command == "/system" else None)
        elif command.startswith("/"):
            _write(f"{_HELP}\n")
        elif line.strip():
            _ask(conversation, line.strip())


def _ask(conversation: Conversation, text: str) -> None:
    """What one question meets does not end the conversation."""
    try:
        conversation.ask(text)
    except UserError as error:
        _write(f"{error}\n")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
