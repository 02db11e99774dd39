"""What the pictures show: one file a page, each with the states that page can be in."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QEventLoop, QTimer

from studio.gui.context import Context
from studio.gui.window import Window
from studio.project.folder import Project


@dataclass
class Stage:
    """Where a scene plays.

    Attributes:
        window, context: fresh for each scene, nothing open.
        home: an empty folder of the scene's own.
        trained: gives a copy of a project with a real finished run.
    """

    window: Window
    context: Context
    home: Path
    trained: Callable[[], Project]

    def pump(self, until: Callable[[], bool] = lambda: False, seconds: float = 20) -> bool:
        """Let the window live until something is so; whether it became so in time."""
        deadline = time.monotonic() + seconds
        while not until() and time.monotonic() < deadline:
            self.settle(20)
        return until()

    def settle(self, milliseconds: int = 60) -> None:
        """Let the window live for a moment."""
        loop = QEventLoop()
        QTimer.singleShot(milliseconds, loop.quit)
        loop.exec()


@dataclass(frozen=True)
class Scene:
    """A state of a page: its name, and how to come to it. What `show` opens it need not close.

    Attributes:
        asks: presses what asks a question, and returns when that is answered; the picture is taken before.
    """

    name: str
    show: Callable[[Stage], None]
    asks: Callable[[Stage], object] | None = None
