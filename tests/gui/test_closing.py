"""Closing while training: it asks; keep means it goes on without the window; stop means saved and stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from studio.gui.app import make_window
from studio.gui.context import Context
from studio.gui.window import Window
from studio.project.folder import Project
from studio.project.follow import wait_for_end
from studio.project.journal import CommandLog
from studio.project.runs import Run
from studio.protocol import commands
from studio.spec.values import set_values
from tests.gui.driver import Hands
from tests.gui.samples import FEW_STEPS


@pytest.fixture
def training(window: Window, qtbot: QtBot, starter_project: Project) -> Hands:
    """The window while a long run trains."""
    settings = [*FEW_STEPS, "train.steps=100000", "train.eval_every=0"]
    starter_project.save(set_values(starter_project.draft(), settings))
    window.open_project(starter_project.folder)
    hands = Hands(window, qtbot)
    window.context.session.start_run()
    session = window.context.session
    hands.until(lambda: session.live is not None and session.live.step > 0, 120, "the first step")
    return hands


def _run(hands: Hands) -> Run:
    live = hands.window.context.session.live
    assert live is not None
    return live.run


def _answer(hands: Hands, words: str) -> None:
    hands.in_dialog(lambda dialog: hands.click(words, dialog))


def test_cancel_keeps_the_window(training: Hands) -> None:
    run = _run(training)
    _answer(training, "Cancel")
    assert not training.window.close()
    assert training.window.isVisible()
    assert run.is_running()
    _end(run)


def test_keep_leaves_the_run_alone_and_opening_again_attaches(
    training: Hands, qtbot: QtBot, qapp: QApplication
) -> None:
    run = _run(training)
    step = training.window.context.session.live.step  # type: ignore[union-attr]
    _answer(training, "Keep training")
    assert training.window.close()
    assert run.is_running()
    context = Context()
    again = make_window(context)
    try:
        again.restore(run.project_folder)
        again.show()
        session = context.session
        qtbot.waitUntil(lambda: session.live is not None and session.live.step > step, timeout=60_000)
        assert session.live is not None and session.live.run.folder == run.folder
    finally:
        _end(run)
        session.close()
        again.close()
        again.deleteLater()


def test_stop_saves_and_ends_it(training: Hands) -> None:
    run = _run(training)
    _answer(training, "Save and stop")
    assert training.window.close()
    wait_for_end(run)
    assert run.state().status == "stopped"
    assert run.weights().is_dir()


def test_where_the_window_was_is_restored(
    window: Window, fresh_home: Path, starter_project: Project, qtbot: QtBot
) -> None:
    window.open_project(starter_project.folder)
    window.show_page("method")
    assert window.close()
    context = Context()
    again = make_window(context)
    again.restore()
    assert again.page_key == "method"
    assert context.session.project is not None
    assert context.session.project.folder == starter_project.folder
    context.session.close()
    again.close()
    again.deleteLater()


def _end(run: Run) -> None:
    CommandLog(run.commands_path).append(commands.Stop())
    wait_for_end(run)
