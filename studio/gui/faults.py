"""When the window itself has a fault: it goes on, says so, and keeps a report that can be read and copied."""

from __future__ import annotations

import platform
import sys
import time
import traceback
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

from studio.errors import UserError
from studio.gui.controls import Dialog, Elided, Text, TextBox
from studio.paths import log_dir, write_text
from studio.project.jobs import WorkerFailed


def report(error: BaseException) -> str:
    """A report of a fault: what and where, versions, and nothing about the person's files but the traceback."""
    lines = "".join(traceback.format_exception(error)).rstrip()
    if isinstance(error, WorkerFailed) and error.detail:
        lines += f"\n\nThe background process said:\n{error.detail}"
    from importlib.metadata import version

    head = (
        f"Tunesmith {version('tunesmith')}, {time.strftime('%Y-%m-%d %H:%M:%S')}\n"
        f"Python {platform.python_version()}, {platform.platform()}, PySide6 {version('PySide6-Essentials')}\n"
    )
    return f"{head}\n{lines}\n".replace(str(Path.home()), "~")


def headline(error: BaseException) -> str:
    """Where and what, in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}: " if frames else ""
    return f"{place}{type(error).__name__}: {error}"[:300]


def keep(text: str) -> Path:
    """Write a report into the log folder."""
    path = log_dir() / f"fault-{time.strftime('%Y%m%d-%H%M%S')}.txt"
    write_text(path, text)
    return path


class Faults(QObject):
    """Catches what nobody caught.

    Signals:
        told(str, str): a sentence and its way out, for what a person can put right.
    """

    told = Signal(str, str)

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._is_asking = False
        self._before = sys.excepthook

    def install(self) -> None:
        """From now on no exception in a slot goes unseen."""
        sys.excepthook = self._hook

    def remove(self) -> None:
        """Put back what was there."""
        sys.excepthook = self._before

    def take(self, error: BaseException) -> None:
        """Tell of an error: a sentence when a person can put it right, else the report."""
        if isinstance(error, UserError):
            rest = " ".join(str(problem) for problem in error.problems[:3])
            self.told.emit(error.message, f"{error.hint} {rest}".strip())
            return
        text = report(error)
        path = keep(text)
        if not self._is_asking:
            self._is_asking = True
            QTimer.singleShot(0, lambda: self._ask(headline(error), text, path))

    def _hook(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            self._before(kind, error, trace)
            return
        traceback.print_exception(error)
        self.take(error)

    def _ask(self, head: str, text: str, path: Path) -> None:
        dialog = fault_dialog(self._window, head, text, path)
        dialog.exec()
        dialog.deleteLater()
        self._is_asking = False


def fault_dialog(parent: QWidget, head: str, text: str, path: Path) -> Dialog:
    """What a person sees after a fault: what is safe, the report, and Go on."""
    dialog = Dialog("The window met a fault and recovered", width=560, parent=parent)
    safe = "Your project is saved. Training was not touched: it runs apart from the window."
    dialog.body.addWidget(Text(safe, "body", "text2", wrap=True))
    dialog.body.addWidget(Elided(head, "mono", "text2"))
    box = TextBox(name="The whole report", lines=14)
    box.setFont(dialog.font())
    box.setPlainText(f"{text}\nKept in {path.name} in the log folder.")
    box.setReadOnly(True)
    box.hide()
    dialog.body.addWidget(box)
    show = dialog.add_button("What is in it?", "quiet", box.show)
    show.clicked.connect(show.hide)
    show.clicked.connect(dialog.adjustSize)
    dialog.add_button("Copy report", "secondary", lambda: QGuiApplication.clipboard().setText(text))
    dialog.add_button("Go on", "primary", dialog.accept)
    return dialog
