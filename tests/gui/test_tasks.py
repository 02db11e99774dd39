"""Functions on threads: when they begin, and what becomes of their answers."""

from __future__ import annotations

import threading
import time

from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from studio.gui.tasks import Control, Tasks


def test_no_thread_begins_in_the_middle_of_what_the_window_does(qtbot: QtBot) -> None:
    tasks, begun, found = Tasks(), threading.Event(), []

    def work(control: Control, value: int) -> int:
        begun.set()
        return value + 1

    tasks.run(work, 1, on_done=found.append)
    assert tasks.is_busy
    assert not begun.wait(0.1)
    qtbot.waitUntil(lambda: found == [2])
    assert not tasks.is_busy


def test_nothing_begins_once_closed(qapp: QApplication) -> None:
    tasks, found = Tasks(), []
    tasks.run(lambda control: found.append("begun"), on_done=found.append)
    tasks.close()
    for _ in range(3):
        qapp.processEvents()
    tasks.close()  # waits for what has begun
    assert found == []


def test_what_is_cancelled_tells_nobody(qtbot: QtBot) -> None:
    tasks, found = Tasks(), []
    task = tasks.run(lambda control: "done", on_done=found.append)
    task.cancel()
    qtbot.waitUntil(lambda: not tasks.is_busy)
    assert found == []


def test_what_calculates_gives_way_to_a_busy_window(qtbot: QtBot) -> None:
    tasks, counted = Tasks(), [0]

    def work(control: Control) -> None:
        for _ in range(1_000_000):
            counted[0] += 1
            control.give_way()

    task = tasks.run(work)
    qtbot.waitUntil(lambda: counted[0] > 0)
    before, until = counted[0], time.monotonic() + 0.2
    while time.monotonic() < until:
        time.sleep(0)  # it could have the interpreter whenever it wants
    during = counted[0] - before
    qtbot.wait(200)
    assert counted[0] - before - during > 3 * during
    task.cancel()
    qtbot.waitUntil(lambda: not tasks.is_busy)


def test_what_gives_way_goes_on_when_the_window_is_busy_for_long(qtbot: QtBot) -> None:
    tasks, ended = Tasks(), threading.Event()

    def work(control: Control) -> None:
        control.give_way()
        ended.set()

    tasks.run(work)
    qtbot.waitUntil(lambda: tasks.is_busy)
    QApplication.processEvents()  # it begins
    assert ended.wait(5)
    qtbot.waitUntil(lambda: not tasks.is_busy)
