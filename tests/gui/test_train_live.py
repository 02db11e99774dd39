"""A real worker, steered from the Train page: started, paused, resumed, saved, stopped, and ended when it hangs."""

from __future__ import annotations

import os
import signal

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from studio.gui.controls import Button
from studio.gui.train_page.page import TrainPage
from studio.gui.window import Window
from studio.project.folder import Project
from studio.spec.values import set_values
from tests.gui.samples import FEW_STEPS

WAIT_MS = 120_000
pytestmark = pytest.mark.slow


@pytest.fixture
def page(qtbot: QtBot, window: Window, starter_project: Project) -> TrainPage:
    """The page over a project that trains long enough to be steered."""
    spec = set_values(
        starter_project.draft(), [*FEW_STEPS, "train.steps=2000", "train.eval_every=500", "train.samples=1"]
    )
    starter_project.save(spec)
    window.context.session.open(starter_project.folder)
    window.show_page("train")
    found = window.page("train")
    assert isinstance(found, TrainPage)
    qtbot.waitUntil(lambda: window.context.session.facts is not None, timeout=WAIT_MS)
    return found


def start(qtbot: QtBot, page: TrainPage) -> None:
    empty = page.states.currentWidget()
    button = next(b for b in empty.findChildren(Button) if b.text().startswith("Start"))
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: steps(page) >= 3, timeout=WAIT_MS)


def steps(page: TrainPage) -> int:
    return len(page.watch.curves.steps) if page.watch is not None else 0


def click(qtbot: QtBot, page: TrainPage, key: str) -> None:
    qtbot.waitUntil(lambda: page.buttons[key].isVisible() and page.buttons[key].isEnabled(), timeout=WAIT_MS)
    qtbot.mouseClick(page.buttons[key], Qt.MouseButton.LeftButton)


def status(page: TrainPage) -> str:
    assert page.watch is not None
    return page.watch.status


def test_start_save_pause_resume_stop(qtbot: QtBot, page: TrainPage) -> None:
    start(qtbot, page)
    assert page.watch is not None and page.watch.run.is_running()
    qtbot.waitUntil(lambda: page.states.state() == "full", timeout=WAIT_MS)
    click(qtbot, page, "save")
    qtbot.waitUntil(lambda: bool(page.watch and page.watch.folder.checkpoints), timeout=WAIT_MS)
    click(qtbot, page, "pause")
    qtbot.waitUntil(lambda: status(page) == "paused", timeout=WAIT_MS)
    paused_at = page.watch.curves.step
    assert page.watch.verdict().word == "Paused." and paused_at in page.watch.run.checkpoints()
    click(qtbot, page, "resume")
    qtbot.waitUntil(lambda: bool(page.watch and page.watch.curves.step > paused_at), timeout=WAIT_MS)
    assert page.watch.curves.sessions == 2 and page.watch.curves.before is not None
    click(qtbot, page, "stop")
    qtbot.waitUntil(lambda: status(page) == "stopped" and page.buttons["chat"].isVisible(), timeout=WAIT_MS)
    assert any(page.watch.run.result_dir.glob("*.safetensors"))


def test_a_worker_killed_from_outside_can_be_resumed(qtbot: QtBot, page: TrainPage) -> None:
    start(qtbot, page)
    click(qtbot, page, "save")
    qtbot.waitUntil(lambda: bool(page.watch and page.watch.folder.checkpoints), timeout=WAIT_MS)
    assert page.watch is not None
    os.kill(page.watch.curves.pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: status(page) == "interrupted" and page.failed.isVisible(), timeout=WAIT_MS)
    resume = next(b for b in page.failed.findChildren(Button) if b.text() == "Resume")
    qtbot.mouseClick(resume, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(page.watch and page.watch.curves.sessions == 2 and steps(page) > 20), timeout=WAIT_MS)
    click(qtbot, page, "stop")
    qtbot.waitUntil(lambda: status(page) == "stopped", timeout=WAIT_MS)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no way to stop a process for a while")
def test_a_worker_that_does_not_listen_can_be_ended(qtbot: QtBot, page: TrainPage) -> None:
    start(qtbot, page)
    assert page.watch is not None
    os.kill(page.watch.curves.pid, signal.SIGSTOP)
    click(qtbot, page, "stop")
    page.steering._deaf.timeout.emit()
    page.steering.end_process()
    qtbot.waitUntil(lambda: status(page) == "interrupted", timeout=WAIT_MS)


def test_another_window_sees_the_run_that_this_one_started(qtbot: QtBot, page: TrainPage, window: Window) -> None:
    start(qtbot, page)
    assert page.watch is not None
    run = page.watch.run
    window.context.session.close()
    window.context.session.open(run.project_folder)
    window.show_page("train")
    qtbot.waitUntil(lambda: page.states.state() == "full" and steps(page) > 3, timeout=WAIT_MS)
    assert page.watch.run.folder == run.folder
    click(qtbot, page, "stop")
    qtbot.waitUntil(lambda: status(page) == "stopped", timeout=WAIT_MS)
