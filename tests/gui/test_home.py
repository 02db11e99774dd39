"""Home: three answers make a project; projects come and go; a first look blocks nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from studio.gui.home_page.page import HomePage
from studio.gui.window import Window
from studio.planner.rough import fits_here
from studio.project.demo import example
from studio.project.folder import Project
from studio.project.follow import wait_for_end
from studio.project.journal import CommandLog
from studio.project.overview import overview
from studio.project.recent import forget_project, recent_projects, remember_project
from studio.protocol import commands
from studio.spec.places import STARTER
from tests.gui.driver import Hands
from tests.gui.samples import STARTER_ROWS


@pytest.fixture
def home(window: Window) -> HomePage:
    page = window.page("home")
    assert isinstance(page, HomePage)
    return page


def test_three_answers_make_a_project(
    home: HomePage, window: Window, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    card = home.new_project
    assert not card.create_button.isEnabled()
    card.set_model(STARTER)
    card.set_data(str(STARTER_ROWS))
    assert not card.create_button.isEnabled()
    qtbot.keyClick(card.goal_choice, Qt.Key.Key_Down)
    card.goal_choice.activated.emit(card.goal_choice.currentIndex())
    assert card.create_button.isEnabled()
    assert card.create_button.role == "primary"
    assert home.try_it.start_button.role == "secondary"
    with qtbot.waitSignal(window.context.session.project_changed, timeout=10_000):
        qtbot.mouseClick(card.create_button, Qt.MouseButton.LeftButton)
    project = window.context.session.project
    assert project is not None
    assert project.folder.parent == tmp_path / "Tunesmith"
    assert project.draft().goal.kind != ""


def test_the_example_is_the_starters_own(home: HomePage) -> None:
    shown = example()
    assert shown.after.startswith(shown.before)
    assert shown.after.endswith("captain!")
    assert shown.before != shown.after


def test_recent_projects_are_listed_newest_first(
    home: HomePage, qtbot: QtBot, trained_project: Project, starter_project: Project
) -> None:
    remember_project(trained_project.folder)
    home.recents.refresh()
    qtbot.waitUntil(lambda: home.recents.states.state() == "full", timeout=10_000)
    assert [recent.folder for recent in recent_projects()] == [trained_project.folder]
    look = overview(trained_project.folder)
    assert (look.method, look.number) == ("lora", 1)
    assert len(look.evals) >= 3
    assert look.state is not None and look.state.status == "done"


def test_the_first_time_the_example_takes_the_whole_width(
    home: HomePage, window: Window, qtbot: QtBot, starter_project: Project
) -> None:
    assert not home.recents.isVisible() and home.new_project.isVisible()
    qtbot.waitUntil(lambda: home.try_it.width() > 0.9 * home.width(), timeout=10_000)
    remember_project(starter_project.folder)
    home.recents.refresh()
    qtbot.waitUntil(home.recents.isVisible, timeout=10_000)
    qtbot.waitUntil(lambda: home.try_it.width() < 0.6 * home.width(), timeout=10_000)
    forget_project(starter_project.folder)
    home.recents.refresh()
    assert not home.recents.isVisible()


def test_this_computer_says_how_large_a_model_it_can_tune(home: HomePage, window: Window, qtbot: QtBot) -> None:
    window.context.machine.start()
    qtbot.waitUntil(home.computer._can.isVisible, timeout=10_000)
    now = window.context.machine.resources
    size = float(home.computer._size.text().removeprefix("up to ").removesuffix("B"))
    assert now is not None and fits_here(round(size * 1e9), now)


@pytest.mark.parametrize("way_out", ["Remove from the list", "Locate…"])
def test_a_vanished_project_stays_listed_and_can_be_removed_or_located(
    home: HomePage,
    window: Window,
    qtbot: QtBot,
    starter_project: Project,
    monkeypatch: pytest.MonkeyPatch,
    way_out: str,
) -> None:
    remember_project(starter_project.folder)
    moved = starter_project.folder.rename(starter_project.folder.with_name("Moved"))
    monkeypatch.setattr("studio.gui.projects_menu.ask_folder", lambda *_: moved)
    home.recents.refresh()
    qtbot.waitUntil(lambda: home.recents._seen is not None, timeout=10_000)
    entry = (home.recents._seen or [])[0]
    assert entry.overview.problem == "Folder not found"
    hands = Hands(window, qtbot)
    hands.in_dialog(lambda dialog: hands.click(way_out, dialog))
    home.recents._open(entry)
    found = [recent.folder for recent in recent_projects()]
    assert found == ([moved] if way_out == "Locate…" else [])


def test_a_damaged_project_says_what_is_damaged(starter_project: Project) -> None:
    starter_project.draft_path.write_text("model: [", encoding="utf-8")
    assert "project.yaml" in overview(starter_project.folder).problem
    assert str(starter_project.folder) not in overview(starter_project.folder).problem


def test_a_list_that_was_damaged_is_an_empty_one(fresh_home: Path) -> None:
    (fresh_home / "config").mkdir(parents=True)
    (fresh_home / "config" / "recent.json").write_text('[{"folder": 3}]', encoding="utf-8")
    assert recent_projects() == []


def test_one_press_trains_the_starter(
    home: HomePage, window: Window, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    qtbot.mouseClick(home.try_it.start_button, Qt.MouseButton.LeftButton)
    assert window.page_key == "train"
    session = window.context.session
    qtbot.waitUntil(lambda: session.live is not None and session.live.step > 0, timeout=120_000)
    live = session.live
    assert live is not None
    assert live.total > 100
    CommandLog(live.run.commands_path).append(commands.Stop())
    wait_for_end(live.run)
