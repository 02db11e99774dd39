"""What this computer has free now, looked at every two seconds off the window's thread."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from studio.gui.tasks import Control, Tasks
from studio.machine.resources import Resources, read_resources

_LOOK_MS = 2000


class MachineWatch(QObject):
    """The computer's state.

    Signals:
        changed(): `resources` is fresh.
    """

    changed = Signal()

    def __init__(self, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._folder = Path.home()
        self._is_looking = False
        self.resources: Resources | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_MS)
        self._timer.timeout.connect(self.look)

    def start(self) -> None:
        """Begin to look."""
        self._timer.start()
        self.look()

    def stop(self) -> None:
        """Look no more."""
        self._timer.stop()

    def set_folder(self, folder: Path) -> None:
        """Which disk counts: the one this folder lies on."""
        self._folder = folder
        self.look()

    def look(self) -> None:
        """Look now."""
        if not self._is_looking:
            self._is_looking = True
            self._tasks.run(_look, self._folder, on_done=self._on_looked, on_error=self._on_failed)

    def _on_looked(self, resources: Resources) -> None:
        self._is_looking = False
        self.resources = resources
        self.changed.emit()

    def _on_failed(self, error: Exception) -> None:
        self._is_looking = False
        self._timer.stop()  # said once, not every two seconds
        self._tasks.faulted.emit(error)


def _look(control: Control, folder: Path) -> Resources:
    return read_resources(folder)
