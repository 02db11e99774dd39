"""What nobody hopes for, done to the real window: places without rights, odd paths, floods, and workers that fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from studio.gui.controls import Text
from studio.gui.dropping import recognise
from studio.gui.train_page.page import TrainPage
from studio.gui.window import Window
from studio.preferences import Preferences
from studio.project.folder import Project
from studio.project.runs import Run
from studio.spec.values import set_values
from tests.gui.driver import Hands
from tests.gui.samples import FEW_STEPS, STARTER_ROWS, make_starter_project
from tests.helpers.forbidden import needs_rights, read_only

WAIT_MS = 60_000
_TRAIN_ONCE = (*FEW_STEPS, "train.steps=2", "train.eval_every=0", "train.checkpoint_every=0", "train.samples=0")

# A worker by its journal alone: it holds the run, and tells a thousand events a second with rubbish between them.
_FLOOD = """
import json, sys, time
from pathlib import Path
from studio.project.journal import EventLog
from studio.project.runs import Run
from studio.protocol import events

run, seconds = Run(Path(sys.argv[1])), float(sys.argv[2])
with run.lock():
    log = EventLog(run.events_path)
    log.append(events.Hello(job="train", pid=0, version="0", total_steps=1_000_000))
    log.append(events.Phase(name="Training", total=1_000_000, unit="steps"))
    began, step = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        for _ in range(50):
            step += 1
            log.append(events.Step(step=step, loss=2.0, learning_rate=1e-4, grad_norm=1.0, tokens=9, trained_tokens=5,
                                   seconds=0.001))
        with run.events_path.open("ab") as file:
            file.write(b"\\x00\\xff rubbish {\\n" * 5)
        time.sleep(max(0.0, began + step / 1000 - time.monotonic()))
    log.append(events.Done(reason="finished"))
print(step)
"""


def said(window: Window) -> str:
    """All words on the page and in the toasts."""
    page = window.page(window.page_key)
    words = [text.text() for text in page.findChildren(Text) if text.isVisible()]
    return "\n".join([*words, *window.toasts.texts()])


def train_page(window: Window) -> TrainPage:
    page = window.page("train")
    assert isinstance(page, TrainPage)
    return page


@pytest.fixture
def hands(window: Window, qtbot: QtBot) -> Hands:
    return Hands(window, qtbot)


def test_a_thousand_events_a_second_with_rubbish_between_them(
    window: Window, qtbot: QtBot, starter_project: Project
) -> None:
    run = Run.create(starter_project.folder, starter_project.draft(), "flood")
    worker = subprocess.Popen([sys.executable, "-c", _FLOOD, str(run.folder), "4"], stdout=subprocess.PIPE, text=True)
    window.open_project(starter_project.folder)
    window.show_page("train", run=run)
    page, turns = train_page(window), 0
    while worker.poll() is None:
        qtbot.wait(20)  # a window that drowned would not come back from this
        turns += 1
    steps = int(worker.communicate()[0])
    assert steps > 1000 and turns > 10
    qtbot.waitUntil(lambda: bool(page.watch and page.watch.status == "done"), timeout=WAIT_MS)
    assert page.watch is not None and page.watch.curves.step == steps
    assert page.watch.num_skipped == 5 * (steps // 50)


@pytest.mark.slow
def test_a_worker_that_dies_at_once_leaves_its_last_words_and_a_way_on(
    window: Window,
    qtbot: QtBot,
    hands: Hands,
    starter_project: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text("import os; os.write(2, b'no such library: libcuda\\n'); os._exit(3)")
    starter_project.save(set_values(starter_project.draft(), _TRAIN_ONCE))
    window.open_project(starter_project.folder)
    monkeypatch.setenv("PYTHONPATH", str(broken))
    window.context.session.start_run()
    window.show_page("train")
    page = train_page(window)
    qtbot.waitUntil(page.failed.isVisible, timeout=WAIT_MS)
    assert "before the first step" in said(window) and "exit code 3" in said(window)
    page.copy_report()
    assert "libcuda" in QApplication.clipboard().text()
    page.toggle_log()
    hands.click("Process log", page.log)
    qtbot.waitUntil(lambda: "libcuda" in page.log.text.toPlainText(), timeout=WAIT_MS)


@pytest.mark.slow
def test_a_project_deep_down_with_spaces_and_signs_trains(window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    deep = tmp_path / ("Ordner mit Leerzeichen 🚲 " + "ü" * 40) / ("very deep " * 12).strip() / "日本語 и emoji 🦜"
    assert len(str(deep)) > 260
    deep.mkdir(parents=True)
    rows = Path(shutil.copy(STARTER_ROWS, deep / "my rows 🦜.jsonl"))
    project = make_starter_project(deep / "Projekt №1", *_TRAIN_ONCE)
    project.save(set_values(project.draft(), [f"data.path={rows}"]))
    assert window.open_project(project.folder)
    window.show_page("data")
    qtbot.waitUntil(lambda: window.context.session.row_lengths is not None, timeout=WAIT_MS)
    window.context.session.start_run()
    window.show_page("train")
    qtbot.waitUntil(lambda: bool(window.context.session.runs), timeout=WAIT_MS)
    qtbot.waitUntil(lambda: window.context.session.runs[-1].state.status == "done", timeout=2 * WAIT_MS)


@needs_rights
def test_no_project_can_be_made_where_nothing_may_be_written(window: Window, hands: Hands, tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    shut.mkdir()
    window.context.preferences = Preferences(projects_folder=str(shut), reduce_motion=True)
    card = window.page("home").new_project  # type: ignore[attr-defined]
    card.set_model("starter")
    card.set_data(str(STARTER_ROWS))
    card.goal_choice.set_chosen("tone")
    card.goal_choice.chosen.emit("tone")
    with read_only(shut):
        hands.click("Create project")
        hands.until(lambda: bool(window.toasts.texts()), what="a word of it")
    assert "cannot be made" in said(window) and "may write to" in said(window)
    assert card.is_ready and window.page_key == "home"  # nothing has to be answered again


@pytest.mark.parametrize("name", ["model.gguf", "rows.jsonl", "rows.parquet"])
def test_a_huge_file_is_looked_at_by_its_beginning(
    window: Window, qtbot: QtBot, starter_project: Project, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    with path.open("wb") as file:  # a hole: it takes no room
        file.write(b"GGUF" if path.suffix == ".gguf" else b'{"text": "one"}\n{"text": "two"}\n')
        file.truncate(60_000_000_000)
    window.open_project(starter_project.folder)
    window.take(recognise(path))
    qtbot.wait(1500)
    assert window.isVisible() and window.page_key in ("playground", "data")
    window.show_page("home")


@pytest.mark.parametrize("key", ["playground", "export", "runs", "train", "home"])
def test_a_run_deleted_while_a_page_shows_it(window: Window, qtbot: QtBot, trained_project: Project, key: str) -> None:
    window.open_project(trained_project.folder)
    session = window.context.session
    qtbot.waitUntil(lambda: bool(session.runs), timeout=WAIT_MS)
    window.show_page(key)
    qtbot.wait(500)
    shutil.rmtree(session.runs[0].run.folder)
    qtbot.waitUntil(lambda: not session.runs, timeout=WAIT_MS)
    qtbot.wait(500)
    assert window.isVisible() and not window.faults._is_asking
    assert "fault" not in said(window).lower()


def test_several_files_at_once_are_refused_in_words(window: Window, hands: Hands, tmp_path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / name)) for name in ("a.jsonl", "b.jsonl")])
    action, button, none = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(window, QDragEnterEvent(QPoint(400, 300), action, data, button, none))
    assert window.drop_sheet.isVisible() and window.drop_sheet.offered is None
