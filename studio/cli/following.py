"""Following a run on the terminal: Ctrl+C asks it to save and stop; the last word becomes the exit code."""

from __future__ import annotations

import signal
import subprocess
from types import FrameType

from rich.console import Console

from studio.cli.views import make_view
from studio.project.follow import follow, wait_for_end
from studio.project.jobs import raise_failure
from studio.project.journal import CommandLog
from studio.project.runs import Run
from studio.project.state import RunState
from studio.protocol import commands, events
from studio.sizes import human_seconds


def make_console() -> Console:
    """Standard output, plain: what we print is text, not markup."""
    return Console(highlight=False, markup=False, soft_wrap=True)


def follow_run(
    run: Run,
    console: Console,
    *,
    offset: int = 0,
    process: subprocess.Popen[bytes] | None = None,
    is_owner: bool = True,
) -> int:
    """Show a run until its worker's last word.

    Args:
        run: whose.
        console: where.
        offset: bytes of its journal that are not shown.
        process: the worker, when we started it.
        is_owner: whether Ctrl+C stops the run; else it only ends the showing.

    Returns:
        0, or 130 when the person stopped it from here.

    Raises:
        UserError, WorkerFailed: as the worker failed.
    """
    view = make_view(console)
    last: events.Event | None = None
    with _Interrupts(run, console, is_owner=is_owner) as interrupts:
        try:
            for batch in follow(run, offset, process=process):
                view.show(batch)
                last = batch[-1] if batch else last
        finally:
            view.close()
        wait_for_end(run)
    if isinstance(last, events.Failed):
        raise_failure(last)
    print_summary(run, console)
    return 130 if interrupts.came else 0


def tell(run: Run, command: commands.Command) -> None:
    """Put a command where the run's worker looks."""
    CommandLog(run.commands_path).append(command)


def print_summary(run: Run, console: Console) -> None:
    """How a run stands, and what can be done with it."""
    state = run.state()
    console.print(f"{run.folder}\n{describe(state)}")
    if state.message:
        console.print(f"{state.message} {state.hint}".rstrip())
    if state.is_unfinished:
        console.print(f'Go on with: tunesmith resume "{run.folder}"')
    if state.status == "done":
        console.print(f'Talk to it: tunesmith chat "{run.folder}"')


def describe(state: RunState) -> str:
    """'done, step 60 of 60, loss 0.1234, held-out 2.1 -> 0.2, 1 min 12 s'."""
    parts = [state.status + (f" ({state.reason})" if state.reason == "early_stop" else "")]
    parts.append(f"step {state.step} of {state.total}" if state.total else f"step {state.step}")
    if state.loss == state.loss:
        parts.append(f"loss {state.loss:.4f}")
    if state.first_eval is not None and state.best_eval is not None:
        parts.append(f"held-out loss {state.first_eval:.4f} -> {state.best_eval:.4f} (step {state.best_step})")
    if state.updated > state.started:
        parts.append(human_seconds(state.updated - state.started))
    return ", ".join(parts)


class _Interrupts:
    """Ctrl+C while a run is followed: the first asks the run to save and stop, the second leaves it to do so alone.

    For one who only watches, the first leaves at once.
    """

    def __init__(self, run: Run, console: Console, *, is_owner: bool) -> None:
        self._run, self._console, self._is_owner = run, console, is_owner
        self.came = False

    def __enter__(self) -> _Interrupts:
        self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.came or not self._is_owner:
            raise KeyboardInterrupt
        self.came = True
        tell(self._run, commands.Stop())
        self._console.print("Saving and stopping. Ctrl+C again leaves it to do so in the background.")
