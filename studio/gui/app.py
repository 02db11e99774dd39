"""Starts the window."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from studio.gui.collecting import Collector
from studio.gui.context import Context
from studio.gui.theme import Theme, theme
from studio.gui.warming import warm_up
from studio.gui.window import Window

# How long the window's thread waits for one that calculates in Python, each time it comes back from Qt. Beside a busy
# thread the first opening of every page waited for 5 seconds in all with Python's own 0.005, for 1.3 with this.
_SWITCH_SECONDS = 0.0005


def run(project: Path | None = None) -> int:
    """Show the window until it is closed.

    Args:
        project: a project's folder to open; else what was open last time.
    """
    application = make_application(sys.argv[:1])
    window = start(application, project)
    signal.signal(signal.SIGINT, lambda *_: window.close())
    # Python handles a signal only between its own instructions; an idle event loop runs none.
    waker = QTimer(application)
    waker.timeout.connect(lambda: None)
    waker.start(500)
    return application.exec()


def make_application(arguments: list[str]) -> QApplication:
    """The application with our look on."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    application = QApplication(arguments or ["tunesmith"])
    application.setApplicationName("Tunesmith")
    application.setDesktopFileName("tunesmith")
    Theme(application)
    Collector(application)
    return application


def start(application: QApplication, project: Path | None = None) -> Window:
    """Make the window, show it where it was, and begin to look at this computer."""
    context = Context(application)
    window = make_window(context)
    window.faults.install()
    window.restore(project)
    window.show()
    context.machine.start()
    warm_up(window)
    return window


def make_window(context: Context) -> Window:
    """The window, in the look that is preferred."""
    chosen = context.preferences
    theme().apply(chosen.theme, text_percent=chosen.text_size, reduce_motion=chosen.reduce_motion)
    return Window(context)
