"""What is open: the project, its draft with undo, its runs, and the one that is training. Pages listen, and edit here.

Data flows one way: an edit makes a new spec, the spec is saved, `spec_changed` tells everybody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QUndoCommand, QUndoStack

from studio.errors import Cancelled, Problem, UserError, from_files
from studio.gui.live_run import LiveRun
from studio.gui.tasks import Control, Task, Tasks
from studio.models.facts import ModelFacts, read_facts
from studio.models.source import is_hub_name, resolve_model
from studio.project.folder import Project
from studio.project.journal import CommandLog
from studio.project.launch import start_run
from studio.project.recent import remember_project
from studio.project.run_keeping import delete_run
from studio.project.runs import Run
from studio.project.state import RunState
from studio.protocol import commands
from studio.spec.check import check
from studio.spec.run_spec import RunSpec
from studio.spec.values import set_values

if TYPE_CHECKING:
    from studio.planner.lengths import RowLengths

_LOOK_MS = 2000
Mark = tuple[int, int]


@dataclass(frozen=True)
class RunRow:
    """A run and what state it is in. `problem` says why a damaged one cannot be read."""

    run: Run
    state: RunState
    problem: str = ""


class Session(QObject):
    """The open project.

    Signals:
        project_changed(): another project is open, or none.
        spec_changed(): the draft is another.
        facts_changed(): the base model's facts are known, or another model was chosen.
        runs_changed(): a run came, went, or changed its state.
        disturbed(str, str): somebody else changed or removed the project: what happened, and what was done.
        live_changed(): another run is training, or none; its own `changed` tells how far it is.
        rows_changed(): more is known of the data's rows.

    Attributes:
        num_rows: rows of the data, None while nobody has looked.
        row_lengths: how long they are in tokens, None while they are not counted.
    """

    project_changed = Signal()
    spec_changed = Signal()
    facts_changed = Signal()
    runs_changed = Signal()
    live_changed = Signal()
    rows_changed = Signal()
    disturbed = Signal(str, str)

    def __init__(self, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self.project: Project | None = None
        self.spec: RunSpec | None = None
        self.facts: ModelFacts | None = None
        self.facts_problem = ""
        self.runs: list[RunRow] = []
        self.live: LiveRun | None = None
        self.num_rows: int | None = None
        self.row_lengths: RowLengths | None = None
        self.undo_stack = QUndoStack(self)
        self._facts_task: Task | None = None
        self._facts_of = ""
        self._mark: Mark | None = None
        self._looking = False
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_MS)
        self._timer.timeout.connect(self.refresh_runs)

    # What is open

    def open(self, folder: Path) -> None:
        """Open a project.

        Raises:
            UserError: there is none, or it cannot be read.
        """
        project = Project.open(folder)
        self._show(project, project.draft())

    def create(self, folder: Path, spec: RunSpec) -> None:
        """Make a project and open it.

        Raises:
            UserError: it cannot be made there.
        """
        project = Project.create(folder, spec)
        self._show(project, spec)

    def close(self) -> None:
        """Leave the project; what it trains goes on."""
        self._set_live(None)
        self._timer.stop()
        self.project, self.spec, self.facts, self.runs = None, None, None, []
        self.undo_stack.clear()
        self.project_changed.emit()

    @property
    def placed_spec(self) -> RunSpec | None:
        """The draft with absolute paths."""
        return self.project.absolute(self.spec) if self.project and self.spec else None

    def problems(self, *, num_rows: int | None = None) -> list[Problem]:
        """What keeps the draft from being trained, and what should be known."""
        placed = self.placed_spec
        found = check(placed, self.facts, num_rows=num_rows) if placed else []
        if self.facts_problem:
            found.append(Problem("model.source", self.facts_problem))
        return found

    # Edits

    def edit(self, *assignments: str, label: str) -> None:
        """Change the draft by "path=value" settings; can be undone.

        Raises:
            UserError: a value cannot be used; nothing was changed.
        """
        assert self.spec is not None
        self.replace(set_values(self.spec, assignments), label)

    def replace(self, spec: RunSpec, label: str) -> None:
        """Put another draft in place; can be undone."""
        if spec != self.spec:
            assert self.spec is not None
            self.undo_stack.push(_Edit(label, self.spec, spec, self._put))

    def set_rows(self, num_rows: int | None, lengths: RowLengths | None) -> None:
        """Take in what was found out about the data's rows; None for what is not known (any more)."""
        if (num_rows, lengths) != (self.num_rows, self.row_lengths):
            self.num_rows, self.row_lengths = num_rows, lengths
            self.rows_changed.emit()

    def read_facts_again(self) -> None:
        """The base model's files have changed: it was downloaded."""
        self._facts_of = ""
        self._read_facts()

    # Runs

    def start_run(
        self,
        name: str = "",
        *,
        processes: int = 1,
        on_started: Callable[[Run], object] | None = None,
        on_error: Callable[[Exception], object] | None = None,
        on_progress: Callable[[float, float, str], object] | None = None,
        on_made: Callable[[Run], object] | None = None,
        may_wear: bool = False,
    ) -> Task:
        """Freeze the draft in a new run and start training it in the background.

        Args:
            on_made: called on the working thread once the run's folder is there, before its worker starts.
            may_wear: whether the person was asked about wearing the drive.
        """
        project, spec = self.project, self.spec
        assert project is not None and spec is not None

        def work(control: Control) -> Run:
            from studio.project.starting import make_run  # heavy: the planner

            run, _ = make_run(project, spec, name, on_progress=control.progress, may_wear=may_wear)
            if on_made is not None:
                on_made(run)
            if control.is_cancelled():
                delete_run(run)
                raise Cancelled
            start_run(run, processes=processes)
            if control.is_cancelled():  # while its worker came up
                self.tell(run, commands.Stop())
            return run

        return self._start(work, on_started, on_error, on_progress)

    def resume_run(
        self,
        run: Run,
        *,
        accept_changes: bool = False,
        on_started: Callable[[Run], object] | None = None,
        on_error: Callable[[Exception], object] | None = None,
    ) -> Task:
        """Go on with a run from its newest checkpoint; `accept_changes` does so though the data file has changed."""

        def work(control: Control) -> Run:
            from studio.project.starting import check_unchanged  # heavy: the planner

            if not accept_changes:
                check_unchanged(run)
            start_run(run, resume=True)
            return run

        return self._start(work, on_started, on_error, None)

    def tell(self, run: Run, command: commands.Command) -> None:
        """Write a command for a run's worker."""
        CommandLog(run.commands_path).append(command)

    def refresh_runs(self) -> None:
        """Look at the runs' folders again, off the window's thread."""
        if self.project is None or self._looking:
            return
        self._looking = True
        self._tasks.run(
            _look,
            self.project,
            {row.run.name: row for row in self.runs},
            on_done=self._on_looked,
            on_error=self._on_blind,
        )

    def row(self, run: Run) -> RunRow | None:
        """A run's row, None when it is gone."""
        return next((row for row in self.runs if row.run.folder == run.folder), None)

    # Inside

    def _start(
        self,
        work: Callable[[Control], Run],
        on_started: Callable[[Run], object] | None,
        on_error: Callable[[Exception], object] | None,
        on_progress: Callable[[float, float, str], object] | None,
    ) -> Task:
        def started(run: Run) -> None:
            row = self.row(run)
            self._set_live(run, row.state if row is not None else None)
            self.refresh_runs()
            if on_started is not None:
                on_started(run)

        return self._tasks.run(work, on_done=started, on_error=on_error, on_progress=on_progress)

    def _show(self, project: Project, spec: RunSpec) -> None:
        self._set_live(None)
        self.project, self.spec, self.runs = project, spec, []
        self.facts, self._facts_of, self.facts_problem = None, "", ""
        self.undo_stack.clear()
        self._mark = _mark(project)
        remember_project(project.folder)
        self.project_changed.emit()
        self.spec_changed.emit()
        self._read_facts()
        self.refresh_runs()
        self._timer.start()

    def _put(self, spec: RunSpec) -> None:
        assert self.project is not None
        self.spec = spec
        try:
            self.project.save(spec)
        except OSError as error:
            self._tell_unsaved(error)
        self._mark = _mark(self.project)
        self.spec_changed.emit()
        self._read_facts()

    def _tell_unsaved(self, error: OSError) -> None:
        known = from_files(error)
        why = known.message if known is not None else f"{error.strerror}."
        self.disturbed.emit("The change could not be saved", f"{why} It holds here; the next change saves both.")

    def _read_facts(self) -> None:
        """Read the base model's facts, when it is another than before and is on this computer."""
        placed = self.placed_spec
        wanted = f"{placed.model.source}@{placed.model.revision}" if placed else ""
        if wanted == self._facts_of:
            return
        self._facts_of = wanted
        if self._facts_task is not None:
            self._facts_task.cancel()
        self.facts, self.facts_problem = None, ""
        self.facts_changed.emit()
        assert placed is not None
        source, revision = placed.model.source, placed.model.revision
        self._facts_task = self._tasks.run(_facts, source, revision, on_done=self._on_facts, on_error=self._on_no_facts)

    def _on_facts(self, facts: ModelFacts | None) -> None:
        self.facts, self.facts_problem = facts, ""
        self.facts_changed.emit()

    def _on_no_facts(self, error: Exception) -> None:
        self.facts_problem = str(error)
        self.facts_changed.emit()

    def _on_blind(self, error: Exception) -> None:
        self._looking = False
        self._tasks.faulted.emit(error)

    def _on_looked(self, found: tuple[Project, Mark | None, list[RunRow]]) -> None:
        self._looking = False
        project, mark, rows = found
        if self.project is None or project.folder != self.project.folder:
            self.refresh_runs()
            return
        if mark != self._mark and not self._take_draft(mark):
            return
        running = next((row for row in reversed(rows) if row.state.status == "running"), None)
        if running is not None or self.live is None or self.live.has_ended:
            self._set_live(running.run, running.state) if running is not None else self._set_live(None)
        if rows != self.runs:
            self.runs = rows
            self.runs_changed.emit()

    def _take_draft(self, mark: Mark | None) -> bool:
        """Somebody else wrote or removed project.yaml: another window, the terminal, an editor.

        Returns:
            Whether the project is still there.
        """
        project = self.project
        assert project is not None
        if mark is None:
            self.disturbed.emit(f"The project {project.name} is not there any more", "Its folder was moved or deleted.")
            self.close()
            return False
        self._mark = mark
        try:
            spec = project.draft()
        except UserError as error:
            self.disturbed.emit("project.yaml was changed elsewhere and cannot be read", str(error))
            return True
        if spec != self.spec:
            self.undo_stack.clear()
            self.spec = spec
            self.spec_changed.emit()
            self._read_facts()
            self.disturbed.emit("The settings were changed elsewhere", "They were read again from project.yaml.")
        return True

    def _set_live(self, run: Run | None, state: RunState | None = None) -> None:
        before = self.live
        if before is not None and run is not None and before.run.folder == run.folder and not before.has_ended:
            return
        if before is None and run is None:
            return
        if before is not None:
            before.stop()
            before.deleteLater()
        self.live = None
        if run is not None:
            self.live = LiveRun(run, state or RunState(), self)
            self.live.ended.connect(self.refresh_runs)
            self.live.start()
        self.live_changed.emit()


class _Edit(QUndoCommand):
    def __init__(self, label: str, before: RunSpec, after: RunSpec, put: Callable[[RunSpec], None]) -> None:
        super().__init__(label)
        self._before, self._after, self._put = before, after, put

    def redo(self) -> None:
        self._put(self._after)

    def undo(self) -> None:
        self._put(self._before)


def _facts(control: Control, source: str, revision: str) -> ModelFacts | None:
    """Facts of a model that is on this computer; None for one that would have to be downloaded."""
    if source != "starter" and not Path(source).is_dir() and is_hub_name(source):
        from studio.models.hub import find_cached  # heavy: huggingface_hub

        folder = find_cached(source, revision)
        return read_facts(folder) if folder else None
    return read_facts(resolve_model(source, revision))


def _look(control: Control, project: Project, known: dict[str, RunRow]) -> tuple[Project, Mark | None, list[RunRow]]:
    mark = _mark(project)
    return project, mark, [_row(control, run, known.get(run.name)) for run in project.runs()]


def _mark(project: Project) -> Mark | None:
    """What tells one version of project.yaml from another; None when it is gone."""
    try:
        status = project.draft_path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _row(control: Control, run: Run, before: RunRow | None) -> RunRow:
    """A run's row; one that has ended and whose events have not grown is as it was."""
    try:
        is_running = run.is_running()
        was_running = before is not None and before.state.status == "running"
        if before and is_running and was_running:
            return before  # its events tell the rest as they come
        if before and not is_running and not was_running and before.state.status != "new" and _is_same(run, before):
            return before
        return RunRow(run, run.state(control.give_way))
    except (OSError, UserError) as error:
        return RunRow(run, RunState(), problem=str(error))


def _is_same(run: Run, before: RunRow) -> bool:
    try:
        return run.events_path.stat().st_mtime <= before.state.updated + 1
    except FileNotFoundError:
        return True
