"""Home: first run, a list of projects, one that vanished, a project half answered, a fault of the window itself."""

from __future__ import annotations

import shutil
from pathlib import Path

from PySide6.QtWidgets import QAbstractButton

from studio.gui.faults import fault_dialog, headline, report
from studio.project.recent import remember_project
from studio.spec.places import STARTER
from tests.gui.samples import STARTER_ROWS, make_starter_project
from tests.gui.scenes import Scene, Stage


def _first(stage: Stage) -> None:
    stage.window.show_page("home")
    stage.pump(lambda: stage.context.machine.resources is not None)


def _full(stage: Stage) -> None:
    trained = stage.trained()
    for name in ("Clinic letters", "SQL from questions", "Commit messages"):
        shutil.copytree(trained.folder, stage.home / name)
        remember_project(stage.home / name)
    make_starter_project(stage.home / "Ukrainian summaries")
    remember_project(stage.home / "Ukrainian summaries")
    stage.window.open_project(trained.folder)
    stage.window.show_page("home")
    home = stage.window.page("home")
    stage.pump(lambda: home.recents.states.state() == "full")  # type: ignore[attr-defined]


def _error(stage: Stage) -> None:
    _full(stage)
    shutil.rmtree(stage.home / "SQL from questions")
    (stage.home / "Clinic letters" / "project.yaml").write_text("model: [", encoding="utf-8")
    stage.window.show_page("home")
    stage.settle(400)
    stage.window.open_project(stage.home / "SQL from questions")


def _moved(stage: Stage) -> None:
    _full(stage)
    (stage.home / "Clinic letters").rename(stage.home / "Letters of the clinic")
    stage.window.show_page("home")
    stage.settle(400)


def _open_moved(stage: Stage) -> None:
    rows = stage.window.page("home").recents.findChildren(QAbstractButton)  # type: ignore[attr-defined]
    next(row for row in rows if "Clinic letters" in row.accessibleName()).click()


def _answered(stage: Stage) -> None:
    _first(stage)
    card = stage.window.page("home").new_project  # type: ignore[attr-defined]
    card.set_model(STARTER)
    card.set_data(str(STARTER_ROWS))
    card.goal_choice.set_chosen("tone")
    card._refresh()


def _palette(stage: Stage) -> None:
    _full(stage)
    stage.window.palette_view.open()
    stage.window.palette_view.query.setText("pro")


def _menu(stage: Stage) -> None:
    _full(stage)
    stage.window.projects_menu.open_at(stage.window.rail.switcher)


def _fault(stage: Stage) -> None:
    _full(stage)
    try:
        {}["step"]
    except KeyError as error:
        head, text = headline(error), report(error)
    dialog = fault_dialog(stage.window, head, text, Path("fault-20260801-101500.txt"))
    dialog.open()
    next(button for button in dialog.findChildren(QAbstractButton) if "What is in it" in button.text()).click()


SCENES = [
    Scene("empty", _first),
    Scene("full", _full),
    Scene("error", _error),
    Scene("busy", _answered),
    Scene("moved", _moved, asks=_open_moved),
    Scene("palette", _palette),
    Scene("menu", _menu),
    Scene("fault", _fault),
]
