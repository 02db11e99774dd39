"""A real window for each test, in folders of its own; and real runs made once for all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from studio.gui.app import make_window
from studio.gui.context import Context
from studio.gui.theme import Theme
from studio.gui.window import Window
from studio.project.folder import Project
from tests.gui.samples import make_starter_project, train_some_steps


@pytest.fixture(scope="session")
def qapp(qapp: QApplication) -> QApplication:
    """The one application of all tests, dressed as ours."""
    if qapp.findChild(Theme) is None:
        Theme(qapp).apply("dark", reduce_motion=True)
    return qapp


@pytest.fixture
def context(qapp: QApplication, fresh_home: Path) -> Iterator[Context]:
    """What pages are given; its window is not shown."""
    made = Context()
    yield made
    made.session.close()
    made.tasks.close()
    made.deleteLater()


@pytest.fixture
def window(qtbot: QtBot, context: Context) -> Iterator[Window]:
    """A window, shown, on Home."""
    made = make_window(context)
    made.resize(1280, 800)
    made.show_page("home")
    made.show()
    qtbot.waitExposed(made)
    yield made
    context.session.close()  # nothing to ask about
    made.close()
    made.deleteLater()


@pytest.fixture
def starter_project(tmp_path: Path) -> Project:
    """A project on the bundled model and rows, never trained."""
    return make_starter_project(tmp_path / "Starter voice")


@pytest.fixture(scope="session")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = make_starter_project(tmp_path_factory.mktemp("trained") / "Starter voice")
    train_some_steps(project)
    return project.folder


@pytest.fixture
def trained_project(_trained: Path, tmp_path: Path) -> Project:
    """A project with one real, finished run of 12 steps with checkpoints, evaluations and samples."""
    folder = tmp_path / "trained" / _trained.name
    shutil.copytree(_trained, folder)
    return Project.open(folder)
