"""What is done with a run: open, chat, export, reproduce, resume, delete, keep its notes, free space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtWidgets import QWidget

from studio.errors import UserError
from studio.gui import figures
from studio.gui.context import Context
from studio.gui.controls import confirm
from studio.gui.files import show_folder
from studio.gui.runs_page.library import Entry, Library
from studio.gui.tasks import Control
from studio.project.folder import Project
from studio.project.run_keeping import delete_checkpoints, delete_run, reproduction, write_notes
from studio.project.runs import Run
from studio.spec.run_spec import RunSpec


class Deeds:
    """Deeds on runs of the open project."""

    def __init__(self, context: Context, library: Library, window: QWidget) -> None:
        self._context, self._library, self._window = context, library, window

    def do(self, key: str, entry: Entry) -> None:
        """Do what a button of the details says."""
        deeds: dict[str, Callable[[Entry], object]] = {
            "open": self.open,
            "chat": lambda one: self._context.navigate("playground", run=one.run),
            "export": lambda one: self._context.navigate("export", run=one.run),
            "reproduce": self.reproduce,
            "resume": self.resume,
            "delete": self.delete,
            "folder": lambda one: show_folder(one.run.folder),
        }
        deeds[key](entry)

    def open(self, entry: Entry) -> None:
        """Show it on the Train page."""
        self._context.navigate("train", run=entry.run)

    def resume(self, entry: Entry) -> None:
        """Go on with it, on the Train page, which asks what there is to ask."""
        self._context.navigate("train", run=entry.run, resume=True)

    def reproduce(self, entry: Entry) -> None:
        """Make its settings the draft; can be undone."""
        project = self._context.session.project
        if project is not None:
            self._context.tasks.run(
                _reproduce,
                entry.run,
                project,
                on_done=lambda spec: self._on_draft(entry, spec),
                on_error=self._on_refused,
            )

    def delete(self, entry: Entry) -> None:
        """Ask, and delete it for good."""
        if entry.row.state.status == "running":
            self._context.notify("This run is training", "Stop it first.", "warn")
            return
        size = entry.digest.sizes.total if entry.digest else 0
        words = f"run {entry.facts.number}" if entry.facts.number else entry.run.name
        text = "Its curves, notes, checkpoints and result go for good: this cannot be undone. Exported files stay."
        absent = entry.digest.sizes.absent if entry.digest else ()
        if absent:
            text = f"{text}\n{_left_behind(absent)}"
        action = f"Delete {figures.gigabytes(size)}" if size else "Delete it"
        if confirm(self._window, f"Delete {words}?", text, action, danger=True):
            done = f"Deleted {words}"
            self._context.tasks.run(
                _delete, entry.run, on_done=lambda left: self._on_deleted(done, left), on_error=self._on_refused
            )

    def free_space(self) -> None:
        """Ask, and delete the checkpoints of finished runs."""
        finished = [
            entry
            for entry in self._library.entries
            if entry.digest is not None
            and entry.digest.sizes.result
            and entry.digest.sizes.num_checkpoints
            and entry.row.state.status == "done"
        ]
        size = sum(entry.digest.sizes.checkpoints for entry in finished if entry.digest is not None)
        if not finished:
            text = "Only checkpoints of finished runs are freed here, and there are none."
            self._context.notify("Nothing to free", text)
            return
        whose = "1 finished run" if len(finished) == 1 else f"{len(finished)} finished runs"
        text = (
            f"Results and curves of {whose} stay. Without checkpoints one can no longer chat with earlier steps. "
            "This cannot be undone."
        )
        if confirm(self._window, f"Free {figures.gigabytes(size)}?", text, "Delete the checkpoints", danger=True):
            runs = [entry.run for entry in finished]
            self._context.tasks.run(
                _free, runs, on_done=lambda _: self._on_freed(runs, size), on_error=self._on_refused
            )

    def keep_notes(self, name: str, text: str) -> None:
        """Write a run's notes."""
        entry = self._library.entry(name)
        if entry is not None:
            self._context.tasks.run(
                _write_notes,
                entry.run,
                text,
                on_done=lambda _: self._library.read_again(name),
                on_error=self._on_refused,
            )

    # Inside

    def _on_draft(self, entry: Entry, spec: RunSpec) -> None:
        session = self._context.session
        session.replace(spec, f"settings of run {entry.facts.number}")
        self._context.navigate("method")
        undo = ("Undo", session.undo_stack.undo)
        self._context.notify(
            f"Run {entry.facts.number}'s settings are the draft now", "Start it when you are ready.", "good", undo
        )

    def _on_deleted(self, words: str, left: Sequence[Path]) -> None:
        self._context.notify(words, _left_behind(left), "warn" if left else "good")
        self._context.session.refresh_runs()

    def _on_freed(self, runs: list[Run], size: int) -> None:
        self._context.notify(f"Freed {figures.gigabytes(size)}", tone="good")
        for run in runs:
            self._library.read_again(run.name)

    def _on_refused(self, error: Exception) -> None:
        self._context.session.refresh_runs()
        if not isinstance(error, UserError):
            self._context.tasks.faulted.emit(error)
            return
        self._context.notify(error.message, error.hint, "danger")


def _reproduce(control: Control, run: Run, project: Project) -> RunSpec:
    return reproduction(run, project)


def _delete(control: Control, run: Run) -> list[Path]:
    return delete_run(run)


def _left_behind(parts: Sequence[Path]) -> str:
    """What deleting does not reach; "" where it reaches everything."""
    if not parts:
        return ""
    where, it = ", ".join(map(str, parts)), "it" if len(parts) == 1 else "them"
    return f"Its streamed weights in {where} stay: that drive is not connected. Delete {it} by hand when it is."


def _free(control: Control, runs: list[Run]) -> None:
    for run in runs:
        delete_checkpoints(run)


def _write_notes(control: Control, run: Run, text: str) -> None:
    write_notes(run, text)
