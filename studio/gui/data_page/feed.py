"""Brings a file's rows to the page: the first at once, all by an import in a process of its own, then lengths."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from studio.data.encoding import EncodingSettings
from studio.data.store.copying import are_versions
from studio.data.store.reading import RowStore
from studio.data.store.view import Rows, Split
from studio.errors import Cancelled
from studio.gui.context import Context
from studio.gui.data_page.work import Gathered, Opened, Summary, gather, open_head, open_store, stamp_of
from studio.gui.tasks import JobTask, Task
from studio.protocol import events
from studio.spec.run_spec import RunSpec

# While rows come in, figures of all of them are made this often at most.
_BETWEEN_LOOKS_MS = 500


class DataFeed(QObject):
    """What is known of the draft's rows, growing.

    Signals:
        opened(): the first rows are there (`head`).
        store_changed(): rows come from another store.
        grown(): more rows, lengths or figures (`rows`, `summary`).
        moved(): the import or the counting went on (`progress`).
        failed(object): the file cannot be used; an exception.
    """

    opened = Signal()
    store_changed = Signal()
    grown = Signal()
    moved = Signal()
    failed = Signal(object)

    def __init__(self, context: Context, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tasks = context.tasks
        self.spec: RunSpec | None = None
        self.head: Opened | None = None
        self.store: RowStore | None = None
        self.rows: Rows | None = None
        self.summary: Summary | None = None
        self.problem: Exception | None = None
        self.progress: tuple[str, int, int] | None = None
        self.was_cancelled = False
        self._shown_path: Path | None = None
        self._lengths: Path | None = None
        self._job: JobTask | None = None
        self._running: list[Task] = []
        self._gathering: Task | None = None
        self._is_stale = False
        self._look = QTimer(self)
        self._look.setSingleShot(True)
        self._look.setInterval(_BETWEEN_LOOKS_MS)
        self._look.timeout.connect(self._gather)

    @property
    def path(self) -> Path | None:
        """The file."""
        return Path(self.spec.data.path) if self.spec else None

    @property
    def settings(self) -> EncodingSettings:
        """How rows become tokens."""
        assert self.spec is not None
        return EncodingSettings(self.spec.data.train_on, self.spec.data.truncation, self.spec.train.max_length)

    @property
    def split(self) -> Split:
        """What is cut and what is held out."""
        assert self.spec is not None
        return Split(self.spec.train.max_length, self.spec.data.holdout, self.spec.train.seed)

    @property
    def is_imported(self) -> bool:
        """Whether all rows are in the store."""
        return self.store is not None and self.store.is_complete

    def show(self, spec: RunSpec) -> None:
        """Show a spec's rows (paths absolute); does no more than what changed needs."""
        before, self.spec = self.spec, spec
        if before is None or _source(before) != _source(spec):
            self._open()
        elif _counted_by(before) != _counted_by(spec):
            self._lengths = None
            self._import()
        elif self.rows is not None and self.rows.split != self.split:
            self._gather()

    def look_again(self) -> None:
        """Open the file anew when it is another than before."""
        if self.head is not None and self.path is not None and stamp_of(self.path) not in (self.head.stamp, (0, 0)):
            self._open()

    def count_now(self) -> None:
        """The model is here now: count lengths, unless they are."""
        if self._lengths is None and self.is_imported and self._job is None:
            self._import()

    def cancel_import(self) -> None:
        """Stop importing or counting, as the person wishes; the rows that are here stay."""
        self.was_cancelled = not self.is_imported
        self._end_job()
        self._gather()

    def close(self) -> None:
        """Stop all that is under way."""
        self._look.stop()
        self._end_job()
        self._drop_tasks()
        self._leave_store()
        self.head, self.spec = None, None

    # Opening

    def _end_job(self) -> None:
        if self._job is not None:
            self._job.close()
            self._job, self.progress = None, None
            self.moved.emit()

    def _open(self) -> None:
        self.problem, self.was_cancelled = None, False
        assert self.spec is not None and self.path is not None
        self._end_job()
        self._drop_tasks()
        data = self.spec.data
        self._run(open_head, self.path, dict(data.columns), data.format, on_done=self._on_head)

    def _on_head(self, head: Opened) -> None:
        self.head = head
        # An edited copy of the same rows: what is shown stays until the copy is imported.
        if self._shown_path is None or not are_versions(self._shown_path, head.facts.path) or head.reader is None:
            self._leave_store()
        self.opened.emit()
        if head.reader is not None:
            self._import()

    def _leave_store(self) -> None:
        self._put_store(None)
        self.summary, self._lengths = None, None

    def _put_store(self, store: RowStore | None) -> None:
        self._shown_path = self.path if store is not None else None
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        old, self.store, self.rows = self.store, store, None
        self.store_changed.emit()
        if old is not None:
            old.close()

    def _import(self) -> None:
        assert self.spec is not None
        self._end_job()
        arguments = {
            "path": self.spec.data.path,
            "format": self.spec.data.format,
            "columns": dict(self.spec.data.columns),
            "model": self.spec.model.source,
            "revision": self.spec.model.revision,
            "train_on": self.spec.data.train_on,
        }
        self.progress, self.problem, self.was_cancelled = ("Importing", 0, 0), None, False
        self.moved.emit()
        self._job = self._tasks.job(
            "import_rows", arguments, on_event=self._on_event, on_done=self._on_imported, on_error=self._on_stopped
        )

    def _on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Result):
            if folder := event.value.get("folder"):
                self._lengths = None
                if self.store is None or self.store.folder != Path(folder):
                    self._run(open_store, Path(folder), on_done=self._on_store)
            if lengths := event.value.get("lengths"):
                self._lengths = Path(lengths)
        elif isinstance(event, events.Phase):
            self.progress = (event.name, int(event.done), int(event.total))
            self.moved.emit()
            if not self._look.isActive():
                self._look.start()

    def _on_store(self, store: RowStore) -> None:
        self._put_store(store)
        self._gather()

    def _on_imported(self) -> None:
        self._job, self.progress = None, None
        self.moved.emit()
        self._gather()

    def _on_stopped(self, error: Exception) -> None:
        """The import's process ended before its time; what is there can still be looked at."""
        self._job, self.progress = None, None
        if not isinstance(error, Cancelled):
            self.problem = error
        self.moved.emit()
        self._gather()

    def _on_failed(self, error: Exception) -> None:
        self._gathering = None
        self.failed.emit(error)

    # Figures

    def _gather(self) -> None:
        """Take in what was written since; one look at a time, and one more when something came meanwhile."""
        if self.store is None or self._gathering is not None:
            self._is_stale = True
            return
        self._is_stale = False
        before = (self.rows, self.summary) if self.rows is not None and self.summary is not None else None
        self._gathering = self._run(gather, self.store, before, self._lengths, self.split, on_done=self._on_gathered)

    def _on_gathered(self, found: Gathered) -> None:
        self._gathering = None
        self.rows, self.summary = found
        self.grown.emit()
        if self._is_stale:
            self._gather()

    def _run(self, function: object, *arguments: object, on_done: object) -> Task:
        task = self._tasks.run(function, *arguments, on_done=on_done, on_error=self._on_failed)  # type: ignore[arg-type]
        self._running = [one for one in self._running if one.is_running] + [task]
        return task

    def _drop_tasks(self) -> None:
        for task in self._running:
            task.cancel()
        self._running, self._gathering = [], None


def _source(spec: RunSpec) -> tuple[object, ...]:
    return spec.data.path, spec.data.format, tuple(sorted(spec.data.columns.items()))


def _counted_by(spec: RunSpec) -> tuple[object, ...]:
    return spec.data.train_on, _model(spec)


def _model(spec: RunSpec) -> str:
    return f"{spec.model.source}@{spec.model.revision}"
