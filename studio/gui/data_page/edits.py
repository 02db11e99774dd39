"""Changes of rows: a new copy in the project's `data` folder, and the draft points to it. The file itself stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from studio.data.store.copying import Changes, next_copy, write_copy
from studio.gui.context import Context
from studio.gui.tasks import Control, Task


class RowEdits(QObject):
    """Makes copies, one at a time.

    Signals:
        busy_changed(bool): a copy is being written, or is done.
    """

    busy_changed = Signal(bool)

    def __init__(self, context: Context, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._task: Task | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a copy is being written."""
        return self._task is not None

    def change(self, changes: Changes, label: str, said: Callable[[int], str]) -> None:
        """Write a copy with these changes, and use it.

        Args:
            label: for undo, as in "Undo leave out row 7".
            said: the toast's words, from how many rows were changed.
        """
        session = self._context.session
        placed = session.placed_spec
        if placed is None or session.project is None or self.is_busy:
            return
        original = Path(placed.data.path)
        target = next_copy(session.project.folder / "data", original)
        self._task = self._context.tasks.run(
            _copy,
            original,
            target,
            changes,
            on_done=lambda count: self._on_done(session.project, target, count, label, said),
            on_error=self._on_error,
        )
        self.busy_changed.emit(True)

    def point_to(self, path: str, label: str, **others: Any) -> None:
        """Use another file; columns that the person mapped belong to the old one."""
        spec = self._context.session.spec
        assert spec is not None
        data = spec.data.model_copy(update={"path": path, **others})
        self._context.session.replace(spec.model_copy(update={"data": data}), label)

    def undo(self) -> None:
        """Take the last edit back."""
        self._context.session.undo_stack.undo()

    def _on_done(self, project: object, target: Path, count: int, label: str, said: Callable[[int], str]) -> None:
        self._task = None
        self.busy_changed.emit(False)
        session = self._context.session
        if session.project is None or session.project is not project:
            return
        self.point_to(target.relative_to(session.project.folder).as_posix(), label)
        detail = f"In the project's own copy, {target.name}. The file that you chose stays as it is."
        self._context.notify(said(count), detail, "good", ("Undo", self.undo))

    def _on_error(self, error: Exception) -> None:
        self._task = None
        self.busy_changed.emit(False)
        self._context.tasks.faulted.emit(error)


def _copy(control: Control, original: Path, target: Path, changes: Changes) -> int:
    return write_copy(original, target, changes, is_cancelled=control.is_cancelled)
