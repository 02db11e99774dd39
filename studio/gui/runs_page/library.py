"""What is known of each run of the open project: facts and digests, read on threads, kept until a run grows."""

from __future__ import annotations

import time
from dataclasses import dataclass

from PySide6.QtCore import QObject, QTimer, Signal

from studio.errors import UserError
from studio.gui.context import Context
from studio.gui.session import RunRow
from studio.gui.tasks import Control
from studio.project.lines import file_size
from studio.project.run_digest import RunDigest, digest
from studio.project.run_facts import RunFacts, read_run_facts
from studio.project.run_rows import differing, flat_settings, setting_words
from studio.project.runs import Run

_AFTER_MS = 150  # first the page is painted: a thread that reads would hold that up
_LEAST_SECONDS = 4.0  # between two digests of a run that is training
_IN_COLUMN = {"method.key"}  # has a column of its own


@dataclass
class Entry:
    """One run. `digest` is None until it was read."""

    row: RunRow
    facts: RunFacts
    settings: dict[str, object]
    digest: RunDigest | None = None
    differs: str = ""
    _size: int = -1
    _read_at: float = 0.0
    _took: float = 0.0

    @property
    def run(self) -> Run:
        """Its folder."""
        return self.row.run

    @property
    def is_damaged(self) -> bool:
        """Whether its record cannot be read."""
        return bool(self.row.problem or self.facts.problem)

    @property
    def has_ended_early(self) -> bool:
        """Whether it came to nothing: neither a result nor a checkpoint to go on from."""
        sizes = self.digest.sizes if self.digest else None
        is_empty = sizes is not None and not sizes.result and not sizes.num_checkpoints
        return is_empty and not self.is_damaged and self.row.state.status in ("failed", "interrupted", "new")


class Library(QObject):
    """The runs of the open project, newest first.

    Signals:
        changed(): runs came, went, or are in another state.
        digested(str): a run's digest was read; its name.
    """

    changed = Signal()
    digested = Signal(str)

    def __init__(self, context: Context, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.entries: list[Entry] = []
        self._context = context
        self._known: dict[str, Entry] = {}
        self._is_reading_facts = self._is_digesting = False

    def refresh(self) -> None:
        """Take the session's runs, and read what is not known of them."""
        rows = {row.run.name: row for row in self._context.session.runs}
        folders = {row.run.folder for row in rows.values()}
        self._known = {name: entry for name, entry in self._known.items() if entry.run.folder in folders}
        for name, entry in self._known.items():
            entry.row = rows[name]
        missing = [row for name, row in rows.items() if name not in self._known]
        if missing and not self._is_reading_facts:
            self._is_reading_facts = True
            self._context.tasks.run(_read_facts, missing, on_done=self._on_facts, on_error=self._on_no_facts)
        self._arrange()

    def clear(self) -> None:
        """Another project is open."""
        self._known.clear()
        self.entries = []
        self.changed.emit()

    def entry(self, name: str) -> Entry | None:
        """A run by its folder's name."""
        return self._known.get(name)

    def read_again(self, name: str) -> None:
        """A run's files have changed: its notes, its checkpoints."""
        if (entry := self._known.get(name)) is not None:
            entry._size, entry._read_at = -1, 0.0
            self._digest_next()

    # Inside

    def _on_facts(self, found: list[Entry]) -> None:
        self._is_reading_facts = False
        self._known |= {entry.run.name: entry for entry in found}
        self.refresh()

    def _on_no_facts(self, error: Exception) -> None:
        self._is_reading_facts = False
        self._context.tasks.faulted.emit(error)

    def _arrange(self) -> None:
        order = [row.run.name for row in reversed(self._context.session.runs)]
        self.entries = [self._known[name] for name in order if name in self._known]
        names = [name for name in differing([entry.settings for entry in self.entries]) if name not in _IN_COLUMN]
        for entry in self.entries:
            words = [setting_words(name, entry.settings.get(name)) for name in names]
            entry.differs = " · ".join(filter(None, words))
        self.changed.emit()
        QTimer.singleShot(_AFTER_MS, self, self._digest_next)

    def _digest_next(self) -> None:
        """One after the other: reading many at once would only make each slower."""
        if self._is_digesting:
            return
        due = next((entry for entry in self.entries if _is_due(entry)), None)
        if due is not None:
            self._is_digesting = True
            self._context.tasks.run(
                _digest,
                due.run,
                on_done=lambda found: self._on_digest(due, found),
                on_error=lambda error: self._on_no_digest(due, error),
            )

    def _on_digest(self, entry: Entry, found: tuple[RunDigest, int, float]) -> None:
        self._is_digesting = False
        entry.digest, entry._size, entry._took = found
        entry._read_at = time.monotonic()
        self.digested.emit(entry.run.name)
        self._digest_next()

    def _on_no_digest(self, entry: Entry, error: Exception) -> None:
        self._is_digesting = False
        entry._read_at, entry._size = time.monotonic(), file_size(entry.run.events_path)
        if not isinstance(error, OSError | UserError):
            self._context.tasks.faulted.emit(error)
        self._context.session.refresh_runs()  # most likely it was deleted while it was read
        self._digest_next()


def _is_due(entry: Entry) -> bool:
    if entry._size < 0:
        return True
    if entry.row.state.status != "running" and entry.digest is not None:
        return file_size(entry.run.events_path) > entry._size
    return time.monotonic() - entry._read_at > max(_LEAST_SECONDS, 20 * entry._took)


def _read_facts(control: Control, rows: list[RunRow]) -> list[Entry]:
    found = []
    for row in rows:
        facts = read_run_facts(row.run)
        settings = flat_settings(facts.spec.model_dump(mode="json")) if facts.spec else {}
        found.append(Entry(row, facts, settings))
    return found


def _digest(control: Control, run: Run) -> tuple[RunDigest, int, float]:
    begun, size = time.monotonic(), file_size(run.events_path)
    found = digest(run, give_way=control.give_way)
    return found, size, time.monotonic() - begun
