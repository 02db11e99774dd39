"""The Train page over real folders: its states, its keys, and whatever a worker or a file system does to it."""

from __future__ import annotations

import csv
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import shiboken6
from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QAbstractButton, QApplication
from pytestqt.qtbot import QtBot

from studio.gui.plots.plot_table import PlotTable
from studio.gui.train_page.page import TrainPage
from studio.gui.window import Window
from studio.project.folder import Project
from studio.project.journal import CommandLog
from studio.project.runs import Run
from studio.protocol import commands, events
from tests.gui.scenes.train import tell, told_run
from tests.helpers.stories import a_run, a_step, hello, training

WAIT_MS = 30_000


@contextmanager
def held(run: Run) -> Iterator[None]:
    """As while a worker is at it."""
    with run.lock():
        yield


def shown(qtbot: QtBot, window: Window, project: Project, state: str, run: Run | None = None) -> TrainPage:
    """The page over a project, come to a state."""
    window.context.session.open(project.folder)
    window.show_page("train", **({"run": run} if run else {}))
    page = window.page("train")
    assert isinstance(page, TrainPage)
    qtbot.waitUntil(lambda: page.states.state() == state, timeout=WAIT_MS)
    qtbot.waitUntil(
        lambda: not (page.view and page.view.isVisible()) or page.view.width() == page.states.width(), timeout=WAIT_MS
    )
    QApplication.processEvents()
    return page


def say(run: Run, *batch: events.Event) -> None:
    """More words of a worker."""
    with run.events_path.open("a", encoding="utf-8") as file:
        file.writelines(f"{events.encode(event)}\n" for event in batch)


def press(
    qtbot: QtBot, window: Window, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier
) -> None:
    window.setFocus()
    qtbot.keyClick(window, key, modifier)


def test_nothing_trained_yet_leads_to_the_method(qtbot: QtBot, window: Window, starter_project: Project) -> None:
    page = shown(qtbot, window, starter_project, "empty")
    assert page.title.text() == "Train" and page.watch is None


def test_a_long_run_says_how_much_of_it_is_read(qtbot: QtBot, window: Window, starter_project: Project) -> None:
    run = told_run(starter_project, a_run(6000, total=12000, start=time.time() - 6000), "long")
    told: list[tuple[str, float]] = []
    page = window.page("train")
    assert isinstance(page, TrainPage)
    with held(run):
        window.context.session.open(starter_project.folder)
        window.show_page("train", run=run)
        assert page.watch is not None and page.reading.amount.text() == ""
        page.watch.told.connect(lambda done, total, _: told.append((page.reading.amount.text(), done / total)))
        qtbot.waitUntil(lambda: page.states.state() == "full", timeout=WAIT_MS)
    shares = [share for _, share in told]
    assert len(told) > 1 and told[-1] == ("6,000 steps", 1.0)
    assert shares == sorted(shares) and shares[0] < 0.5 and page.reading.bar.accessibleName().endswith("100 %")


def test_a_look_into_a_run_that_is_not_shown_any_more_tells_nobody(
    qtbot: QtBot, window: Window, trained_project: Project
) -> None:
    page = shown(qtbot, window, trained_project, "full")
    watch = page.watch
    assert watch is not None
    watch.look()
    page._let_go()
    qtbot.waitUntil(lambda: not shiboken6.isValid(watch), timeout=WAIT_MS)
    qtbot.waitUntil(lambda: not window.context.tasks.is_busy, timeout=WAIT_MS)  # what a slot raises fails the test


def test_a_finished_run_is_shown_in_full(qtbot: QtBot, window: Window, trained_project: Project) -> None:
    page = shown(qtbot, window, trained_project, "full")
    assert page.view is not None and page.watch is not None
    assert page.title.text() == "LoRA, run 1" and page.facts.text().startswith("Starter · started")
    assert page.buttons["chat"].isVisible() and not page.buttons["pause"].isVisible()
    assert page.watch.verdict().word == "Done." and page.watch.curves.step == 12
    assert page.view.memory.title.text() == "Memory (RAM)"
    qtbot.waitUntil(lambda: bool(page.watch and page.watch.predicted_bytes), timeout=WAIT_MS)


def test_getting_ready_ticks_phases_off_then_gives_way_to_the_curves(
    qtbot: QtBot, window: Window, starter_project: Project
) -> None:
    now = time.time()
    run = told_run(
        starter_project, [hello(time=now), events.Phase(name="Reading rows", total=9, unit="rows", time=now)]
    )
    with held(run):
        page = shown(qtbot, window, starter_project, "ready")
        seen = [button.text() for button in page.findChildren(QAbstractButton) if button.isVisible()]
        assert sum("log" in text.lower() for text in seen) == 1
        say(run, training(50, time=now), *(a_step(n, start=now - 10) for n in range(1, 4)))
        qtbot.waitUntil(lambda: page.states.state() == "full", timeout=WAIT_MS)
        assert page.buttons["pause"].isVisible() and page.watch is not None and page.watch.curves.step == 3


def test_new_steps_are_drawn_as_they_come(qtbot: QtBot, window: Window, starter_project: Project) -> None:
    start = time.time() - 100
    run = told_run(starter_project, a_run(60, total=100, start=start))
    with held(run):
        page = shown(qtbot, window, starter_project, "full")
        say(run, *(a_step(n, start=start) for n in range(61, 81)))
        assert page.view is not None
        qtbot.waitUntil(lambda: "step 80 of 100" in page.view.health._amount.text(), timeout=WAIT_MS)


def test_buttons_and_keys_tell_the_worker(qtbot: QtBot, window: Window, starter_project: Project) -> None:
    run = told_run(starter_project, a_run(60, total=100, start=time.time() - 61))
    with held(run):
        page = shown(qtbot, window, starter_project, "full")
        qtbot.mouseClick(page.buttons["save"], Qt.MouseButton.LeftButton)
        assert page.buttons["save"].text() == "Saving…" and not page.buttons["pause"].isEnabled()
        now = time.time()
        say(run, events.Checkpoint(step=60, path="checkpoints/00000060", time=now))
        qtbot.waitUntil(lambda: page.buttons["pause"].isEnabled(), timeout=WAIT_MS)
        press(qtbot, window, Qt.Key.Key_Space)
        assert page.buttons["pause"].text() == "Pausing…"
        told = CommandLog(run.commands_path).poll()
        assert [type(command) for command in told] == [commands.Save, commands.Pause]


def test_space_presses_the_button_that_has_the_focus(qtbot: QtBot, window: Window, starter_project: Project) -> None:
    run = told_run(starter_project, a_run(60, total=100, start=time.time() - 61))
    with held(run):
        page = shown(qtbot, window, starter_project, "full")
        page.buttons["log"].setFocus(Qt.FocusReason.TabFocusReason)
        qtbot.keyClick(page.buttons["log"], Qt.Key.Key_Space)
        assert page.log.isVisible() and not CommandLog(run.commands_path).poll()


def test_letters_change_the_plot(qtbot: QtBot, window: Window, starter_project: Project) -> None:
    page = shown(qtbot, window, starter_project, "full", told_run(starter_project, a_run(200)))
    assert page.view is not None
    plot = page.view.loss.plot
    press(qtbot, window, Qt.Key.Key_L)
    assert plot.is_log
    press(qtbot, window, Qt.Key.Key_L)
    plot.show_range(20, 60)
    page.view._follow_loss()
    assert page.view.memory.plot.is_zoomed
    press(qtbot, window, Qt.Key.Key_0)
    assert not plot.is_zoomed and not page.view.memory.plot.is_zoomed
    press(qtbot, window, Qt.Key.Key_B)
    assert plot.readout.isVisible() and "Step 192" in plot.readout.text()


def test_the_cross_hair_says_what_both_plots_hold_there(qtbot: QtBot, window: Window, starter_project: Project) -> None:
    page = shown(qtbot, window, starter_project, "full", told_run(starter_project, a_run(200)))
    view = page.view
    assert view is not None
    area = view.loss.plot.area()
    qtbot.mouseMove(view.loss.plot.viewport(), QPointF(area.center()).toPoint())
    assert view.loss.plot.readout.text().startswith("Step 10") and "smoothed" in view.loss.plot.readout.text()
    assert "weights 2.6 GB" in view.memory.plot.readout.text()
    at = view._pointed
    qtbot.keyClick(view.loss.plot, Qt.Key.Key_Right)
    assert at is not None and view._pointed is not None and view._pointed > at
    view.loss.plot.pointed.emit(None)
    assert not view.memory.plot.readout.isVisible()


def test_the_curve_is_kept_as_picture_and_table(
    qtbot: QtBot, window: Window, starter_project: Project, tmp_path: Path
) -> None:
    page = shown(qtbot, window, starter_project, "full", told_run(starter_project, a_run(50)))
    assert page.view is not None
    page.view.loss.write_picture(tmp_path / "loss ü.png")
    assert (tmp_path / "loss ü.png").read_bytes().startswith(b"\x89PNG")
    page.view.loss.write_table(tmp_path / "loss.csv")
    qtbot.waitUntil(lambda: (tmp_path / "loss.csv").is_file(), timeout=WAIT_MS)
    with (tmp_path / "loss.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) == 52
    page.view.loss.write_picture(tmp_path / "no such folder" / "loss.png")
    page.view.loss.write_table(Path("/proc/loss.csv"))
    qtbot.wait(100)
    assert window.isVisible()


def test_the_curves_are_a_table_as_well(qtbot: QtBot, window: Window, starter_project: Project) -> None:
    page = shown(qtbot, window, starter_project, "full", told_run(starter_project, a_run(5000)))
    press(qtbot, window, Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
    assert page.view is not None
    table = page.view.findChild(PlotTable)
    assert table is not None and 200 <= table.table.model().rowCount() <= 220
    assert table.table.model().index(0, 3).data() == "2.500"
    table.accept()


def test_answers_go_from_before_to_the_newest(qtbot: QtBot, window: Window, starter_project: Project) -> None:
    page = shown(qtbot, window, starter_project, "full", told_run(starter_project, a_run(64, evals=4)))
    assert page.view is not None
    names = [
        w.accessibleName()
        for w in page.view.samples.findChildren(object)
        if "link (" in _name(w) or "AI lang" in _name(w)
    ]
    titles = [name.split(":")[0] for name in names if ":" in name]
    assert titles == ["Step 64", "Step 48", "Step 32", "Step 16", "Before"]
    page.view.loss.plot.clicked.emit(33.0)
    assert page.view.samples._only_step == 33


def _name(widget: object) -> str:
    return str(widget.accessibleName()) if hasattr(widget, "accessibleName") else ""


# Bad input


def test_a_worker_that_died_at_once_is_told_with_ways_on(
    qtbot: QtBot, window: Window, starter_project: Project
) -> None:
    failed = events.Failed(kind="bug", message="RuntimeError: no kernel", detail="Traceback…", time=time.time())
    page = shown(qtbot, window, starter_project, "full", told_run(starter_project, [hello(), failed]))
    assert page.failed.isVisible() and page.failed._title.text() == "Training stopped before the first step"
    assert "No checkpoint" in page.failed._text.text()
    page.copy_report()
    assert "RuntimeError: no kernel" in QApplication.clipboard().text()


def test_a_worker_that_vanished_without_a_word(qtbot: QtBot, window: Window, starter_project: Project) -> None:
    run = told_run(starter_project, a_run(40, total=100, start=time.time() - 41), kept=(30, 36))
    with held(run):
        page = shown(qtbot, window, starter_project, "full")
    qtbot.waitUntil(lambda: page.failed.isVisible(), timeout=WAIT_MS)
    assert "without a word" in page.failed._title.text() and "step 36 is saved" in page.failed._text.text()


def test_a_worker_that_hangs_is_called_quiet(qtbot: QtBot, window: Window, starter_project: Project) -> None:
    run = told_run(starter_project, a_run(40, total=100, start=time.time() - 3000))
    with held(run):
        page = shown(qtbot, window, starter_project, "full")
        assert page.view is not None
        qtbot.waitUntil(lambda: page.view.health._word.text() == "Quiet.", timeout=WAIT_MS)
        page.view.health._button.click()
        assert page.log.isVisible()


def test_garbage_in_the_journal_is_passed_over_and_counted(
    qtbot: QtBot, window: Window, starter_project: Project
) -> None:
    run = told_run(starter_project, a_run(40, total=100, start=time.time() - 41))
    with run.events_path.open("ab") as file:
        file.write(b'\x00\xffgarbage\n{"type":"step"}\n[]\n' * 2000)
    with held(run):
        page = shown(qtbot, window, starter_project, "full")
        assert page.watch is not None
        say(run, a_step(41, start=time.time() - 42))
        qtbot.waitUntil(lambda: page.watch.curves.step == 41, timeout=WAIT_MS)
        assert page.watch.num_skipped == 6000
        page.toggle_log()
        qtbot.waitUntil(lambda: "6,000 lines" in page.log.text.toPlainText(), timeout=WAIT_MS)


def test_a_run_folder_deleted_while_shown(qtbot: QtBot, window: Window, starter_project: Project) -> None:
    run = told_run(starter_project, a_run(40))
    page = shown(qtbot, window, starter_project, "full", run)
    shutil.rmtree(run.folder)
    qtbot.waitUntil(lambda: page.states.state() == "error", timeout=WAIT_MS)
    assert "is gone" in page.error.title.text()
    window.resize(1400, 900)
    qtbot.waitUntil(lambda: page.width() > 1100)
    page._refresh()  # as a repaint would that was on its way
    assert page.states.state() == "error" and page.title.text() == "Train" and not page.buttons["log"].isVisible()


def test_the_strip_says_the_step_of_a_long_run_at_once_and_follows(
    qtbot: QtBot, window: Window, starter_project: Project
) -> None:
    start = time.time() - 3001
    run = told_run(starter_project, a_run(3000, total=6000, start=start))
    with held(run):
        window.context.session.open(starter_project.folder)
        qtbot.waitUntil(lambda: window.context.session.live is not None, timeout=WAIT_MS)
        live = window.context.session.live
        assert live is not None and (live.step, live.total) == (3000, 6000)
        say(run, a_step(3001, start=start))
        qtbot.waitUntil(lambda: live.step == 3001 and live.seconds_left == pytest.approx(2999, rel=0.01))


def test_leaving_stops_following_and_coming_back_goes_on(
    qtbot: QtBot, window: Window, starter_project: Project
) -> None:
    start = time.time() - 41
    run = told_run(starter_project, a_run(40, total=100, start=start))
    with held(run):
        page = shown(qtbot, window, starter_project, "full")
        window.show_page("home")
        say(run, *(a_step(n, start=start) for n in range(41, 51)))
        assert page.watch is not None
        window.show_page("train")
        qtbot.waitUntil(lambda: page.watch.curves.step == 50, timeout=WAIT_MS)


@pytest.mark.parametrize("story", [[], [hello()]])
def test_a_run_with_hardly_a_word(
    qtbot: QtBot, window: Window, starter_project: Project, story: list[events.Event]
) -> None:
    run = told_run(starter_project, story)
    page = shown(qtbot, window, starter_project, "full", run)
    assert page.watch is not None and page.watch.status in ("new", "interrupted")


def test_a_damaged_record_still_shows_its_curves(qtbot: QtBot, window: Window, starter_project: Project) -> None:
    run = told_run(starter_project, a_run(40), "odd one")
    run.spec_path.write_text("spec: [", encoding="utf-8")
    page = shown(qtbot, window, starter_project, "full", run)
    assert page.title.text() == "odd one" and page.watch is not None and page.watch.curves.step == 40


def test_a_run_rewritten_from_the_start_is_read_again(qtbot: QtBot, window: Window, starter_project: Project) -> None:
    run = told_run(starter_project, a_run(40))
    page = shown(qtbot, window, starter_project, "full", run)
    tell(run, a_run(20))
    window.show_page("home")
    window.show_page("train", run=run)
    assert page.watch is not None and window.isVisible()
