"""Making a run from the terminal: its warnings and its downloads are printed."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console

from studio.errors import Problem
from studio.project import starting
from studio.project.folder import Project
from studio.project.runs import Run
from studio.sizes import human_bytes
from studio.spec.run_spec import RunSpec


def make_run(project: Project, spec: RunSpec, name: str, console: Console) -> Run:
    """Check `spec` against its model and data, and freeze it in a new run's folder.

    Raises:
        UserError: with all problems.
    """
    run, warnings = starting.make_run(project, spec, name, on_progress=download_progress(console))
    print_warnings(warnings, console)
    return run


def print_warnings(problems: list[Problem], console: Console) -> None:
    """What does not keep a run from starting, but should be known."""
    for problem in problems:
        if not problem.is_fatal:
            console.print(f"Warning: {problem}")


def download_progress(console: Console) -> Callable[[float, float, str], None]:
    """Says how far a download is, at most at every full percent."""
    last = -1

    def on_progress(done: float, total: float, what: str) -> None:
        nonlocal last
        percent = int(100 * done / total) if total else 100
        if percent != last and (console.is_terminal or percent % 10 == 0):
            last = percent
            console.print(
                f"Downloading {what}: {human_bytes(done)} of {human_bytes(total)} ({percent} %)", end=_end(console)
            )

    return on_progress


def _end(console: Console) -> str:
    return "\r" if console.is_terminal else "\n"
