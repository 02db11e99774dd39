"""Shows an export while it runs: forecast, bytes and time left, then what each file is worth."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console

from studio.cli.following import make_console
from studio.paths import log_dir
from studio.project.jobs import JobProcess
from studio.protocol import commands, events
from studio.sizes import human_bytes, human_seconds


def follow_export(arguments: dict[str, Any], *, is_quiet: bool) -> list[dict[str, Any]]:
    """Run the export job and show it; the files that it made.

    Raises:
        UserError, WorkerFailed, Cancelled: as the job ended. Ctrl+C cancels it and leaves nothing half-made.
    """
    console, files = make_console(), []
    view = _View(console, is_quiet=is_quiet)
    with JobProcess("export", arguments, log=log_dir() / "export.log") as job:
        try:
            for event in job:
                view.show(event)
                if isinstance(event, events.Result) and "files" in event.value:
                    files = list(event.value["files"])
        except KeyboardInterrupt:
            job.tell(commands.Cancel())
            job.close(timeout_seconds=600)  # it looks up between tensors, and removes what it has begun
            raise
        finally:
            view.end_line()
    if not is_quiet:
        for file in files:
            _print_file(console, file)
    return files


class _View:
    """One line a phase; on a terminal it is rewritten while it moves."""

    def __init__(self, console: Console, *, is_quiet: bool) -> None:
        self._console, self._is_quiet = console, is_quiet
        self._phase, self._started, self._shown = "", 0.0, 0.0

    def show(self, event: events.Event) -> None:
        """Show one event."""
        if self._is_quiet:
            return
        if isinstance(event, events.Result) and "forecast" in event.value:
            for output in event.value["forecast"]:
                self._console.print(f"{output['path']}: about {human_bytes(output['bytes'])}")
        elif isinstance(event, events.Notice):
            self.end_line()
            self._console.print(f"{event.text} {event.hint}".rstrip())
        elif isinstance(event, events.Phase):
            self._show_phase(event)

    def end_line(self) -> None:
        """Leave the line that is being rewritten."""
        if self._phase and self._console.is_terminal:
            self._console.print()
        self._phase = ""

    def _show_phase(self, event: events.Phase) -> None:
        now = time.monotonic()
        if event.name != self._phase:
            self.end_line()
            self._phase, self._started, self._shown = event.name, now, 0.0
            if not self._console.is_terminal:
                self._console.print(event.name)
        is_last = bool(event.total) and event.done >= event.total
        if self._console.is_terminal and (now - self._shown > 0.1 or is_last):
            self._shown = now
            self._console.print(f"\r{self._line(event, now - self._started)}\033[K", end="")

    def _line(self, event: events.Phase, seconds: float) -> str:
        if not event.total:
            return event.name
        done, total = (
            (human_bytes(int(event.done)), human_bytes(int(event.total)))
            if event.unit == "bytes"
            else (f"{event.done:.0f}", f"{event.total:.0f} {event.unit}")
        )
        left = seconds * (event.total - event.done) / event.done if event.done else 0.0
        return f"{event.name}: {done} of {total}" + (f", {human_seconds(left)} left" if left >= 1 else "")


def _print_file(console: Console, file: dict[str, Any]) -> None:
    console.print(f"{file['path']} ({human_bytes(file['bytes'])})")
    report = file["report"]
    if report is None:
        return
    console.print(f"  {report['sentence']}")
    if not report["passed"]:
        console.print("  The file is kept under this name for a look. Try another type, such as Q8_0, or --to merged.")
