"""How a run looks on a terminal while it is followed: a live bar, or plain lines where output goes to a file."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from studio.project.pace import Pace
from studio.protocol import events
from studio.sizes import human_bytes

_QUIET_SECONDS = 20.0  # after this long without a word the bar says so
_LINE_SECONDS = 10.0  # plain output: at least this far apart, or a fiftieth of the run
_LINES_PER_RUN = 50


class View(Protocol):
    """Something that shows events. `show` is also called without any, to let time pass."""

    def show(self, batch: list[events.Event]) -> None: ...

    def close(self) -> None: ...


def make_view(console: Console) -> View:
    """The view that fits where output goes."""
    return LiveView(console) if console.is_terminal else PlainView(console)


class PlainView:
    """Lines that read well in a log."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._pace = Pace()
        self._phase = ""
        self._last_step, self._last_time = -1, 0.0

    def show(self, batch: list[events.Event]) -> None:
        for event in batch:
            self._pace.take(event)
            if isinstance(event, events.Step):
                self._say_step()
            elif isinstance(event, events.Phase) and event.name != self._phase:
                self._phase = event.name
                self._console.print(f"{event.name} ...")
            else:
                say(self._console.print, event)

    def close(self) -> None:
        if self._pace.step > self._last_step:
            self._say_step(is_last=True)

    def _say_step(self, *, is_last: bool = False) -> None:
        pace, now = self._pace, time.monotonic()
        is_due = pace.step - self._last_step >= pace.total / _LINES_PER_RUN or now - self._last_time > _LINE_SECONDS
        if not (is_due or is_last or pace.step == pace.total) or not pace.recent:
            return
        self._last_step, self._last_time = pace.step, now
        self._console.print(f"step {pace.step}/{pace.total}  {pace.figures()}")


class LiveView:
    """One bar a phase, with words above it as they come."""

    def __init__(self, console: Console) -> None:
        self._pace = Pace()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[amount]}"),
            TextColumn("{task.fields[figures]}", style="dim"),
            console=console,
            transient=False,
        )
        self._task: TaskID | None = None
        self._name = ""
        self._heard = time.monotonic()
        self._progress.start()

    def show(self, batch: list[events.Event]) -> None:
        for event in batch:
            self._heard = time.monotonic()
            self._pace.take(event)
            if isinstance(event, events.Phase):
                self._show_phase(event)
            elif isinstance(event, events.Step):
                self._show_step()
            else:
                say(self._progress.console.print, event)
        self._say_quiet()

    def close(self) -> None:
        self._progress.stop()

    def _show_phase(self, phase: events.Phase) -> None:
        if phase.name != self._name or self._task is None:
            self._finish()
            self._name = phase.name
            self._task = self._progress.add_task(phase.name, total=None, amount="", figures="")
        amount = amount_of(phase)
        self._progress.update(self._task, completed=phase.done, total=phase.total or None, amount=amount, figures="")

    def _show_step(self) -> None:
        if self._task is None:
            self._task = self._progress.add_task("Training", total=None, amount="", figures="")
        pace = self._pace
        amount = f"{pace.step}/{pace.total} steps"
        self._progress.update(
            self._task, completed=pace.step, total=pace.total or None, amount=amount, figures=pace.figures()
        )

    def _finish(self) -> None:
        if self._task is not None:
            total = self._progress.tasks[-1].total or 1
            self._progress.update(self._task, total=total, completed=total)

    def _say_quiet(self) -> None:
        quiet = time.monotonic() - self._heard
        if self._task is not None and quiet > _QUIET_SECONDS:
            self._progress.update(self._task, figures=f"no change for {quiet:.0f} s")


def amount_of(phase: events.Phase) -> str:
    """'12/60 rows', '3.2 MB/8.0 GB', or nothing where no amount is known."""
    if not phase.total and not phase.done:
        return ""
    if phase.unit in ("B", "bytes"):
        return f"{human_bytes(phase.done)}/{human_bytes(phase.total)}"
    return f"{phase.done:g}/{phase.total:g} {phase.unit}".rstrip() if phase.total else f"{phase.done:g} {phase.unit}"


def say(write: Callable[[str], None], event: events.Event) -> None:
    """The words for events that are worth a line of their own."""
    if isinstance(event, events.Eval):
        best = "  (best so far)" if event.is_best else ""
        perplexity = event.metrics.get("perplexity")
        also = f", perplexity {perplexity:.2f}" if perplexity is not None else ""
        write(f"step {event.step}: held-out loss {event.loss:.4f}{also}{best}")
    elif isinstance(event, events.Sample):
        write(f"step {event.step}: {_one_line(event.prompt)!r} -> {_one_line(event.text)!r}")
    elif isinstance(event, events.Notice):
        mark = {"info": "", "warning": "Warning: ", "error": "Error: "}[event.severity]
        write(f"{mark}{event.text} {event.hint}".rstrip())


def _one_line(text: str, limit: int = 100) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
