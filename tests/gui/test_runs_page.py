"""The Runs page over real folders: overlaying, notes, reproducing, deleting, and what damaged runs still tell."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from studio.gui.plots.plot_table import PlotTable
from studio.gui.runs_page import deeds
from studio.gui.runs_page.board import Board
from studio.gui.runs_page.model import HELD_OUT, METHOD, SETTINGS, STATE
from studio.gui.runs_page.page import RunsPage
from studio.gui.train_page.page import TrainPage
from studio.gui.window import Window
from studio.project.folder import Project
from studio.project.run_keeping import read_notes
from studio.project.runs import STORE, Run
from tests.gui.driver import Hands
from tests.gui.scenes.runs import make_runs

WAIT_MS = 30_000


@pytest.fixture
def runs(starter_project: Project) -> list[Run]:
    return make_runs(starter_project)


def shown(qtbot: QtBot, window: Window, project: Project, num_rows: int) -> tuple[RunsPage, Board]:
    window.context.session.open(project.folder)
    window.show_page("runs")
    page = window.page("runs")
    assert isinstance(page, RunsPage)
    qtbot.waitUntil(lambda: page.states.state() == "full", timeout=WAIT_MS)
    assert page.board is not None
    qtbot.waitUntil(lambda: all(entry.digest for entry in page.library.entries), timeout=WAIT_MS)
    qtbot.waitUntil(lambda: len(page.board.model.entries) == num_rows, timeout=WAIT_MS)
    return page, page.board


def cell(board: Board, row: int, column: int) -> str:
    return str(board.model.index(row, column).data())


def test_no_runs_yet(qtbot: QtBot, window: Window, starter_project: Project) -> None:
    window.context.session.open(starter_project.folder)
    window.show_page("runs")
    page = window.page("runs")
    assert isinstance(page, RunsPage)
    assert page.states.state() == "empty"


def test_the_table_says_what_differs_and_what_came_of_it(
    qtbot: QtBot, window: Window, starter_project: Project, runs: list[Run]
) -> None:
    page, board = shown(qtbot, window, starter_project, 3)
    assert [cell(board, row, METHOD) for row in range(3)] == ["LoRA", "Full fine-tuning", "LoRA"]
    assert cell(board, 0, SETTINGS) == "rank 16 · learning rate 1.5e-4"
    assert cell(board, 1, SETTINGS) == "learning rate 2e-5"
    assert [cell(board, row, STATE) for row in range(3)] == ["Stopped", "Finished", "Finished"]
    assert cell(board, 0, HELD_OUT) == "1.334"
    assert page.facts.text().startswith("5 runs of Starter voice, ")


def test_ticking_overlays_and_keeps_colours(
    qtbot: QtBot, window: Window, starter_project: Project, runs: list[Run]
) -> None:
    _, board = shown(qtbot, window, starter_project, 3)
    assert len(board.overlay.plot.lines) == 3
    board.table.setFocus()
    board.table.selectRow(1)
    qtbot.keyClick(board.table, Qt.Key.Key_Space)
    assert [line.name for line in board.overlay.plot.lines] == ["run 3", "run 1"]
    assert [line.slot for line in board.overlay.plot.lines] == [0, 2]
    qtbot.keyClick(board.table, Qt.Key.Key_Space)
    assert {line.slot for line in board.overlay.plot.lines} == {0, 1, 2}


def test_curves_go_over_steps_time_and_tokens(
    qtbot: QtBot, window: Window, starter_project: Project, runs: list[Run]
) -> None:
    _, board = shown(qtbot, window, starter_project, 3)
    for measure, words in (("seconds", "20 min"), ("tokens", "1,200 tokens"), ("step", "Step 1,200")):
        board.overlay.plot.set_measure(measure)  # type: ignore[arg-type]
        board.overlay.plot.point_at(1200)
        assert board.overlay.plot.readout.text().startswith(words)
        assert "run 1" in board.overlay.plot.readout.text()


def test_a_click_on_a_head_sorts_and_keeps_the_selection(
    qtbot: QtBot, window: Window, starter_project: Project, runs: list[Run]
) -> None:
    _, board = shown(qtbot, window, starter_project, 3)
    board.table.selectRow(1)
    chosen = board.current_name()
    board.table.sortByColumn(HELD_OUT, Qt.SortOrder.DescendingOrder)
    assert [cell(board, row, HELD_OUT) for row in range(3)] == ["1.421", "1.391", "1.334"]
    assert board.current_name() == chosen
    board.table.sortByColumn(METHOD, Qt.SortOrder.AscendingOrder)
    assert cell(board, 0, METHOD) == "Full fine-tuning"


def test_curves_are_a_table_as_well(qtbot: QtBot, window: Window, starter_project: Project, runs: list[Run]) -> None:
    page, board = shown(qtbot, window, starter_project, 3)
    next(command for command in page.commands() if command.key == "Ctrl+T").slot()
    table = board.overlay.findChild(PlotTable)
    assert table is not None and table.table.model().columnCount() == 4
    table.copy()
    assert QApplication.clipboard().text().splitlines()[1] == "0\t2.500\t2.500\t2.500"
    table.accept()


def test_notes_are_kept_in_the_runs_folder(
    qtbot: QtBot, window: Window, starter_project: Project, runs: list[Run]
) -> None:
    _, board = shown(qtbot, window, starter_project, 3)
    assert board.details.notes.toPlainText().startswith("Rank 16")
    board.details.notes.setPlainText("Better than run 2. 🎺")
    qtbot.waitUntil(lambda: read_notes(runs[2]) == "Better than run 2. 🎺", timeout=WAIT_MS)
    board.details.notes.setPlainText("And again")
    board.table.selectRow(1)  # before the timer: nothing is lost
    qtbot.waitUntil(lambda: read_notes(runs[2]) == "And again", timeout=WAIT_MS)
    assert read_notes(runs[1]) == ""


def test_reproducing_makes_the_draft_and_can_be_undone(
    qtbot: QtBot, window: Window, starter_project: Project, runs: list[Run]
) -> None:
    _, board = shown(qtbot, window, starter_project, 3)
    session = window.context.session
    before = session.spec
    board.table.selectRow(2)
    board.details.asked.emit("reproduce")
    qtbot.waitUntil(lambda: session.spec != before, timeout=WAIT_MS)
    assert session.spec is not None and session.spec.method.rank == 8  # type: ignore[attr-defined]
    session.undo_stack.undo()
    assert session.spec == before


def test_deleting_asks_and_is_done(
    qtbot: QtBot, window: Window, starter_project: Project, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    page, board = shown(qtbot, window, starter_project, 3)
    asked: list[tuple[str, str, str]] = []
    answer = [False]

    def confirm(parent: object, title: str, text: str, action: str, *, danger: bool = False) -> bool:
        asked.append((title, text, action))
        return answer[0]

    monkeypatch.setattr(deeds, "confirm", confirm)
    board.table.setFocus()
    board.table.selectRow(1)
    qtbot.keyClick(board.table, Qt.Key.Key_Delete)
    assert asked[0][0] == "Delete run 2?" and "cannot be undone" in asked[0][1] and asked[0][2] == "Delete 20 MB"
    assert runs[1].folder.is_dir()
    answer[0] = True
    qtbot.keyClick(board.table, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: not runs[1].folder.exists() and len(board.model.entries) == 2, timeout=WAIT_MS)
    page.deeds.free_space()
    qtbot.waitUntil(lambda: not runs[0].checkpoints_dir.exists(), timeout=WAIT_MS)
    assert runs[0].result_dir.is_dir() and runs[2].checkpoints_dir.is_dir()  # run 3 was stopped: it may go on


def test_runs_that_came_to_nothing_are_folded_into_a_line(
    qtbot: QtBot, window: Window, starter_project: Project, runs: list[Run]
) -> None:
    _, board = shown(qtbot, window, starter_project, 3)
    assert board.early.text() == "2 runs that ended early: 1 was interrupted, 1 failed"
    board.early.click()
    assert len(board.model.entries) == 5


def test_a_damaged_run_tells_what_can_be_read(
    qtbot: QtBot, window: Window, starter_project: Project, runs: list[Run]
) -> None:
    runs[0].spec_path.write_text("spec: [", encoding="utf-8")
    runs[1].events_path.write_bytes(b"\x00\xff\n" * 1000)
    _, board = shown(qtbot, window, starter_project, 3)
    board.table.selectRow(board.model.row_of(runs[0].name))
    assert cell(board, board.table.currentIndex().row(), STATE) == "Damaged"
    assert not board.details._buttons["reproduce"].isVisible()


def test_enter_opens_the_run_on_the_train_page(
    qtbot: QtBot, window: Window, starter_project: Project, runs: list[Run]
) -> None:
    _, board = shown(qtbot, window, starter_project, 3)
    board.table.setFocus()
    board.table.selectRow(2)
    qtbot.keyClick(board.table, Qt.Key.Key_Return)
    page = window.page("train")
    assert isinstance(page, TrainPage) and page.watch is not None and page.watch.run.name == runs[0].name


def test_what_deleting_does_not_reach_is_said(
    qtbot: QtBot,
    window: Window,
    starter_project: Project,
    runs: list[Run],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, away = runs[2], tmp_path / "away" / "tunesmith-1"
    (run.folder / STORE).mkdir()
    (run.folder / STORE / "drives.json").write_text(json.dumps([str(away)]))
    page, _ = shown(qtbot, window, starter_project, 3)
    asked: list[str] = []
    monkeypatch.setattr(deeds, "confirm", lambda parent, title, text, *args, **more: asked.append(text) or True)
    entry = page.library.entry(run.name)
    assert entry is not None
    page.deeds.delete(entry)
    qtbot.waitUntil(lambda: not run.folder.exists(), timeout=WAIT_MS)
    assert str(away) in asked[0]
    qtbot.waitUntil(lambda: any(str(away) in text for text in window.toasts.texts()), timeout=WAIT_MS)


def test_all_folders_deleted_while_shown(
    qtbot: QtBot, window: Window, starter_project: Project, runs: list[Run]
) -> None:
    page, _ = shown(qtbot, window, starter_project, 3)
    shutil.rmtree(starter_project.runs_dir)
    window.context.session.refresh_runs()
    qtbot.waitUntil(lambda: page.states.state() == "empty", timeout=WAIT_MS)


def test_details_can_be_opened_in_a_window_that_was_narrow_from_the_start(
    window: Window, qtbot: QtBot, trained_project: Project
) -> None:
    window.resize(1024, 680)
    window.open_project(trained_project.folder)
    window.show_page("runs")
    button = lambda: Hands(window, qtbot).button("Details")  # noqa: E731
    qtbot.waitUntil(lambda: button() is not None, timeout=30_000)
