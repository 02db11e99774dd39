"""The two journals of a run folder: events a worker says, commands it is told. One JSON object a line, appended only.

Written so that any reader sees whole lines, whatever happened to a writer. What the events mean is in `protocol`.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from studio.project.lines import file_size, is_torn, read_lines, tail
from studio.protocol import commands, events

_DISK_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


class Reading(NamedTuple):
    """Events read and the offset to go on from."""

    events: list[events.Event]
    offset: int


class EventLog:
    """The writing end of `events.jsonl`, safe from any thread. Open it only while the run's lock is held."""

    def __init__(self, path: Path) -> None:
        """Open for appending. A last line that a killed writer left unfinished is cut off; `seq` goes on.

        Args:
            path: the file; made when it is not there.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        _heal(path)
        self._seq = _last_seq(path)
        self._lock = threading.Lock()
        self._pending = b""
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)

    def append(self, event: events.Event) -> events.Event:
        """Stamp `event` with its number and the time, write it as one line, and return it as written."""
        with self._lock:
            self._seq += 1
            stamped = event.model_copy(update={"seq": self._seq, "time": time.time()})
            self._pending += events.encode(stamped).encode() + b"\n"
            self._drain()
        return stamped

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1

    def _drain(self) -> None:
        """Write what is pending. On a full disk it stays pending: the run must be able to say so and to go on later."""
        try:
            while self._pending:
                self._pending = self._pending[os.write(self._descriptor, self._pending) :]
        except OSError as error:
            if error.errno not in _DISK_FULL:
                raise


class EventReader:
    """The reading end of `events.jsonl`: a follower that remembers where it is.

    Attributes:
        offset: bytes read so far, always at the start of a line.
        num_skipped: whole lines that were no event this version knows (garbage, or a newer program's).
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        self.num_skipped = 0

    def poll(self, limit_bytes: int = -1) -> list[events.Event]:
        """Events written since the last call; `limit_bytes` bounds how much of the file is read at once."""
        lines, self.offset = read_lines(self.path, self.offset, limit_bytes)
        found = [event for event in map(decode_event, lines) if event is not None]
        self.num_skipped += len(lines) - len(found)
        return found

    def rest(self, limit_bytes: int) -> Iterator[list[events.Event]]:
        """All that is written by now, in batches of `limit_bytes`; a batch of lines that are no events is empty."""
        while True:
            before = self.offset
            batch = self.poll(limit_bytes)
            if self.offset == before:
                return
            yield batch


class CommandLog:
    """`commands.jsonl`: anybody may append, the run's worker polls."""

    def __init__(self, path: Path, offset: int | None = 0) -> None:
        """Follow from `offset` bytes on; None starts at the end and so skips what earlier sessions were told."""
        self._path = path
        self._offset = file_size(path) if offset is None else offset

    def append(self, command: commands.Command) -> None:
        """Write one command, dated now, as one line."""
        stamped = command.model_copy(update={"time": time.time()})
        self._path.parent.mkdir(parents=True, exist_ok=True)
        torn = is_torn(self._path)
        with self._path.open("ab", buffering=0) as file:
            file.write((b"\n" if torn else b"") + commands.encode(stamped).encode() + b"\n")

    def poll(self) -> list[commands.Command]:
        """Commands since the last call. A line that is no command is passed over: it must not end a run."""
        lines, self._offset = read_lines(self._path, self._offset)
        return [command for command in map(_decode_command, lines) if command is not None]


def read_events(path: Path, offset: int = 0) -> Reading:
    """Every event from `offset` on; a torn last line is left for the next call, unknown lines are passed over."""
    reader = EventReader(path, offset)
    return Reading(reader.poll(), reader.offset)


def history(path: Path) -> list[events.Event]:
    """The run as it counts now: what a resumed session did anew replaces what earlier sessions had done."""
    return supersede(read_events(path).events)


def supersede(journal: Iterable[events.Event]) -> list[events.Event]:
    """Drop, at each `hello`, earlier events of steps after the one taken up, and earlier last words."""
    kept: list[events.Event] = []
    for event in journal:
        if isinstance(event, events.Hello):
            kept = [earlier for earlier in kept if _still_counts(earlier, event.step)]
        kept.append(event)
    return kept


def _still_counts(event: events.Event, taken_up: int) -> bool:
    if isinstance(event, events.Done | events.Failed):
        return False
    if isinstance(event, events.Step | events.Eval | events.Sample | events.Memory | events.Checkpoint):
        return taken_up > 0 and event.step <= taken_up  # what was measured before step 1 is not measured again
    return True


def decode_event(line: bytes) -> events.Event | None:
    """The event on a line, None when it is none that this version knows."""
    try:
        return events.decode(line)
    except ValidationError:
        return None


def _decode_command(line: bytes) -> commands.Command | None:
    try:
        return commands.decode(line)
    except ValidationError:
        return None


def _heal(path: Path) -> None:
    """Cut off a torn last line. One that is a whole event and lacks only its line break is kept."""
    if not is_torn(path):
        return
    with path.open("rb+") as file:
        content = tail(path)
        torn = content[content.rfind(b"\n") + 1 :]
        if decode_event(torn) is not None:
            file.seek(0, os.SEEK_END)
            file.write(b"\n")
        else:
            file.truncate(file_size(path) - len(torn))


def _last_seq(path: Path) -> int:
    found = map(decode_event, reversed(tail(path).split(b"\n")))
    return next((event.seq for event in found if event is not None), 0)
