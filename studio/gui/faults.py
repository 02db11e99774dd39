"""When the window itself has a fault: it goes on, says so, and keeps a report. When it died, it says so next time."""

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

from studio.errors import UserError, from_files
from studio.gui.controls import Dialog, Elided, Text, TextBox
from studio.gui.crash_log import CrashLog, take_crashes
from studio.gui.theme import font
from studio.paths import log_dir, write_text
from studio.project.jobs import WorkerFailed

_CRASH_AFTER_MS = 300  # the window is there by then
_ABOUT = "The report stays on this computer unless you copy it into a message to those who write the program."


def report(error: BaseException | str) -> str:
    """A report of a fault: what and where, versions, and nothing about the person's files but the traceback.

    Args:
        error: what was raised, or what a window that died left.
    """
    lines = error if isinstance(error, str) else "".join(traceback.format_exception(error)).rstrip()
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


def keep(text: str) -> Path | None:
    """Write a report into the log folder; None where nothing can be written."""
    try:
        path = log_dir() / f"fault-{time.strftime('%Y%m%d-%H%M%S')}.txt"
        write_text(path, text)
    except OSError:
        return None  # a full disk must not hide the fault
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
        self._told: set[str] = set()
        self._before = sys.excepthook
        self._crashes = CrashLog()

    def install(self) -> None:
        """From now on no exception in a slot goes unseen, and no crash of the whole window."""
        sys.excepthook = self._hook
        last = take_crashes()
        if last:
            QTimer.singleShot(_CRASH_AFTER_MS, self, lambda: self._tell_crash(last))
        self._crashes.begin()

    def remove(self) -> None:
        """Put back what was there."""
        sys.excepthook = self._before
        self._crashes.end()

    def take(self, error: BaseException) -> None:
        """Tell of an error: a sentence when a person can put it right, else the report.

        The same fault is reported once: what fails at each repaint would else never let go of the window.
        """
        known = from_files(error) if isinstance(error, OSError) else error
        if isinstance(known, UserError):
            self._tell(known)
            return
        head = headline(error)
        if head in self._told:
            return
        self._told.add(head)
        text = report(error)
        path = keep(text)
        if not self._is_asking:
            self._is_asking = True
            QTimer.singleShot(0, self, lambda: self._ask(fault_dialog(self._window, head, text, path)))

    def _tell(self, error: UserError) -> None:
        rest = " ".join(str(problem) for problem in error.problems[:3])
        self.told.emit(error.message, f"{error.hint} {rest}".strip())

    def _hook(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            self._before(kind, error, trace)
            return
        traceback.print_exception(error)
        self.take(error)

    def _ask(self, dialog: Dialog) -> None:
        self._is_asking = True
        dialog.exec()
        dialog.deleteLater()
        self._is_asking = False

    def _tell_crash(self, traces: str) -> None:
        text = report(traces)
        self._ask(crash_dialog(self._window, traces, text, keep(text)))


def fault_dialog(parent: QWidget, head: str, text: str, path: Path | None) -> Dialog:
    """What a person sees after a fault: what is safe, the report, and Go on."""
    safe = "Your project is saved. Training was not touched: it runs apart from the window."
    return _dialog(parent, ("The window met a fault and recovered", safe), head, text, path)


def crash_dialog(parent: QWidget, traces: str, text: str, path: Path | None) -> Dialog:
    """What a person sees at the start after the window died: what is safe, the report, and Go on."""
    safe = "Each change was saved as you made it, and what was training went on without the window."
    return _dialog(parent, ("Tunesmith ended unexpectedly last time", safe), traces.partition("\n")[0], text, path)


def _dialog(parent: QWidget, words: tuple[str, str], head: str, text: str, path: Path | None) -> Dialog:
    title, safe = words
    dialog = Dialog(title, f"{safe} {_ABOUT}", width=560, parent=parent)
    dialog.body.addWidget(Text(safe, "body", "text2", wrap=True))
    dialog.body.addWidget(Elided(head, "mono", "text2"))
    box = TextBox(name="The whole report", lines=14)
    box.setFont(font("mono"))
    kept = f"Kept in {path.name} in the log folder." if path else "It could not be kept: nothing can be written there."
    box.setPlainText(f"{text}\n{kept}")
    box.setReadOnly(True)
    box.hide()
    dialog.body.addWidget(box)
    show = dialog.add_button("What is in it?", "quiet", box.show)
    show.clicked.connect(show.hide)
    show.clicked.connect(dialog.adjustSize)
    dialog.add_button("Copy report", "secondary", lambda: QGuiApplication.clipboard().setText(text))
    dialog.add_button("Go on", "primary", dialog.accept)
    return dialog
