"""What every page is given: the open project, this computer, background work, preferences, ways to tell and lead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from PySide6.QtCore import QObject, Signal

from studio.gui.machine_watch import MachineWatch
from studio.gui.session import Session
from studio.gui.tasks import Tasks
from studio.preferences import Preferences, apply_to_environment, load_preferences, save_preferences

Tone = Literal["info", "good", "warn", "danger"]
ToastAction = tuple[str, Callable[[], object]]


class Shell(Protocol):
    """What the window does for pages."""

    def show_page(self, key: str, **arguments: object) -> None:
        """Show a page."""

    def open_project(self, folder: Path) -> bool:
        """Open a project; what is wrong with it is told."""

    def choose_project(self) -> None:
        """Ask for a project's folder and open it."""

    def show_toast(self, text: str, detail: str, tone: Tone, action: ToastAction | None) -> None:
        """Tell something in passing."""


@dataclass(frozen=True)
class Activity:
    """What a page does in the background, for the strip.

    Attributes:
        page: a click leads there.
        words, detail: what, and which.
        share: how far, None where it is not known.
    """

    page: str
    words: str
    detail: str = ""
    share: float | None = None


class Context(QObject):
    """Given to every page.

    Signals:
        preferences_changed(): `preferences` are others.
        activity_changed(): what a page does in the background is further on, or over.
    """

    preferences_changed = Signal()
    activity_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.preferences: Preferences = load_preferences()
        apply_to_environment(self.preferences)
        self.tasks = Tasks(self)
        self.session = Session(self.tasks, self)
        self.machine = MachineWatch(self.tasks, self)
        self.shell: Shell | None = None
        self.activity: Activity | None = None

    def navigate(self, page: str, **arguments: object) -> None:
        """Lead to a page."""
        assert self.shell is not None
        self.shell.show_page(page, **arguments)

    def open_project(self, folder: Path) -> bool:
        """Open a project; whether it could be. What is wrong with it is told."""
        assert self.shell is not None
        return self.shell.open_project(folder)

    def open_project_dialog(self) -> None:
        """Ask for a project's folder and open it."""
        assert self.shell is not None
        self.shell.choose_project()

    def notify(self, text: str, detail: str = "", tone: Tone = "info", action: ToastAction | None = None) -> None:
        """Tell something in passing; it goes away by itself."""
        assert self.shell is not None
        self.shell.show_toast(text, detail, tone, action)

    def show_activity(self, activity: Activity | None) -> None:
        """Tell the strip what is being done in the background; None when it is over."""
        self.activity = activity
        self.activity_changed.emit()

    def set_preferences(self, preferences: Preferences) -> None:
        """Keep other preferences, and let them take effect.

        Raises:
            OSError: they cannot be written.
        """
        save_preferences(preferences)
        self.preferences = preferences
        apply_to_environment(preferences)
        self.preferences_changed.emit()
