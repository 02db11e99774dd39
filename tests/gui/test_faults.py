"""Faults of the window itself: told once, kept, copied; and what a window that died tells at its next start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QPlainTextEdit, QWidget
from pytestqt.qtbot import QtBot

from studio.gui.crash_log import take_crashes
from studio.gui.window import Window
from tests.gui.driver import Hands

_DIES = """
import faulthandler
from studio.gui.app import make_application, start
application = make_application(["tunesmith"])
window = start(application)
application.processEvents()
faulthandler._sigsegv()
"""
_ENDS = _DIES.replace("faulthandler._sigsegv()", "window.close()")


def fail(words: str) -> ValueError:
    try:
        raise ValueError(words)
    except ValueError as error:
        return error


def run(program: str, home: Path) -> int:
    environment = {**os.environ, "TUNESMITH_HOME": str(home), "QT_QPA_PLATFORM": "offscreen"}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, timeout=120).returncode


def asked(window: Window, hands: Hands, act: object, answer: str = "Go on") -> list[str]:
    """What the dialog says that opens, after it was answered; nothing when none opens."""
    said: list[str] = []

    def read(dialog: QWidget) -> None:
        hands.click("What is in it?", dialog)
        said.extend(box.toPlainText() for box in dialog.findChildren(QPlainTextEdit))
        hands.click("Copy report", dialog)
        hands.click(answer, dialog)

    hands.in_dialog(read)
    act()  # type: ignore[operator]
    hands.until(lambda: bool(said) and QApplication.activeModalWidget() is None, what="the dialog to be answered")
    return said


@pytest.fixture
def hands(window: Window, qtbot: QtBot) -> Hands:
    return Hands(window, qtbot)


def test_a_fault_is_reported_copied_and_kept_and_the_window_lives(
    window: Window, hands: Hands, fresh_home: Path
) -> None:
    said = asked(window, hands, lambda: window.faults.take(fail("curve has 0 points")))
    assert "curve has 0 points" in said[0]
    assert "curve has 0 points" in QApplication.clipboard().text()
    reports = list((fresh_home / "logs").glob("fault-*.txt"))
    assert len(reports) == 1 and "curve has 0 points" in reports[0].read_text(encoding="utf-8")
    assert window.isVisible()


def test_what_fails_again_and_again_is_asked_about_once(window: Window, hands: Hands, qtbot: QtBot) -> None:
    again = QTimer(window)
    again.timeout.connect(lambda: window.faults.take(fail("at each repaint")))
    asked(window, hands, lambda: again.start(5))
    qtbot.wait(100)
    assert QApplication.activeModalWidget() is None


def test_a_fault_is_told_though_nothing_can_be_written(
    window: Window, hands: Hands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_the_way = tmp_path / "a file"
    in_the_way.write_text("no folder")
    monkeypatch.setenv("TUNESMITH_HOME", str(in_the_way))
    said = asked(window, hands, lambda: window.faults.take(fail("no room")))
    assert "no room" in said[0] and "could not be kept" in said[0]


def test_a_window_that_died_says_so_at_the_next_start(window: Window, hands: Hands, fresh_home: Path) -> None:
    assert run(_DIES, fresh_home) != 0
    said = asked(window, hands, window.faults.install)
    window.faults.remove()
    assert "Segmentation fault" in said[0] or "access violation" in said[0]
    assert take_crashes() == ""


def test_a_window_that_ended_well_leaves_nothing(fresh_home: Path) -> None:
    assert run(_ENDS, fresh_home) == 0
    assert not list((fresh_home / "logs").glob("*.crash"))
    assert take_crashes() == ""
