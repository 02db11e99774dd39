"""The Export page with the real job on the starter: sizes, files, checks, cancelling, refusals, talking to a file."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path

import psutil
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton, QWidget
from pytestqt.qtbot import QtBot

from studio.export.exports import Exported
from studio.export.forecast import TargetForecast
from studio.export.quant_types import TYPES
from studio.gui.export_page.export_run import ExportRun, FileState
from studio.gui.export_page.mosaic import Mosaic
from studio.gui.export_page.page import ExportPage
from studio.gui.export_page.progress_card import pace
from studio.gui.export_page.target_cards import TargetCards
from studio.gui.export_page.types_table import TypesModel, TypesTable
from studio.gui.export_page.verification import VerificationCard
from studio.gui.playground_page.page import PlaygroundPage
from studio.gui.window import Window
from studio.project.folder import Project

LONG = 120_000


@pytest.fixture
def page(window: Window, qtbot: QtBot, trained_project: Project) -> ExportPage:
    window.open_project(trained_project.folder)
    qtbot.waitUntil(lambda: bool(window.context.session.runs), timeout=10_000)
    window.show_page("export")
    found = window.page("export")
    assert isinstance(found, ExportPage)
    qtbot.waitUntil(lambda: found.survey is not None, timeout=20_000)
    return found


def test_two_types_by_the_keyboard_checked_and_talked_to(page: ExportPage, qtbot: QtBot, window: Window) -> None:
    assert page.start.isEnabled() and page.start.text() == "Export 1 file"
    page.table.setFocus()
    for _ in range(3):
        qtbot.keyClick(page.table, Qt.Key.Key_Up)
    qtbot.keyClick(page.table, Qt.Key.Key_Space)
    assert page.types.in_order() == ["Q8_0", "Q4_K_M"] and page.start.text() == "Export 2 files"
    qtbot.keyClick(window, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert page.run is not None and not page.start.isEnabled() and page.below.state() == "progress"
    run, seen = page.run, set()
    run.changed.connect(lambda: seen.update(file.phase for file in run.files))
    qtbot.waitUntil(lambda: page.run is None, timeout=LONG)
    assert {"writing", "checking"} <= seen and all(len(file.tensors) > 20 for file in run.files)
    qtbot.waitUntil(lambda: page.verification.exported is not None, timeout=10_000)
    project = page.context.session.project
    assert project is not None
    names = sorted(path.name.rpartition("-")[2] for path in project.exports_dir.glob("*.gguf"))
    assert names == ["Q4_K_M.gguf", "Q8_0.gguf"] and page.exports.states.state() == "full"
    assert page.verification.badge.text() == "Passed"
    report = page.verification.exported.report  # type: ignore[union-attr]
    assert report is not None and report["question"] and report["answer"]
    assert page.verification.chat.role == "primary" and page.start.role == "secondary"
    page.types.toggle(page.types.names.index("F16"))
    assert page.verification.chat.role == "secondary" and page.start.role == "primary"
    page.verification.chat.click()
    assert window.page_key == "playground"
    chat = window.page("playground")
    assert isinstance(chat, PlaygroundPage)
    qtbot.waitUntil(lambda: chat.chat.sides["tuned"].state == "ready", timeout=LONG)
    assert chat.tuned.name.text() == "File" and chat.chat.sides["tuned"].name.endswith("Q8_0.gguf")
    chat.composer.write(report["question"])
    chat.sampling.rows["temperature"].edited.emit("temperature", 0.0)
    qtbot.waitUntil(chat.composer.send.isEnabled, timeout=10_000)
    chat.composer.send.click()
    qtbot.waitUntil(lambda: not chat.chat.is_answering, timeout=LONG)
    answer = chat.chat.conversation.path()[0].answer("tuned")
    assert answer is not None and answer.text == report["answer"], "the chat and the report agree"


def test_cancelling_leaves_nothing_and_a_crash_is_told(page: ExportPage, qtbot: QtBot, window: Window) -> None:
    page.start.click()
    assert page.run is not None
    page.progress.cancel.click()
    qtbot.waitUntil(lambda: page.run is None, timeout=LONG)
    project = page.context.session.project
    assert project is not None and not list(project.exports_dir.glob("*.gguf"))
    assert not [path for path in project.exports_dir.glob(".*") if ".part" in path.name]
    assert any("cancelled" in text for text in window.toasts.texts()) and page.start.isEnabled()
    page.start.click()
    qtbot.waitUntil(lambda: bool(_workers()), timeout=10_000)
    os.kill(_workers()[0].pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: page.run is None, timeout=30_000)
    assert any("export ended" in text for text in window.toasts.texts()) and page.start.isEnabled()


def _workers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if "export" in child.cmdline()]


def test_what_does_not_fit_is_refused_with_the_missing_gigabytes(page: ExportPage) -> None:
    assert page.survey is not None
    page.folder = page.survey.folder
    page.survey = dataclasses.replace(page.survey, disk_free=1_000_000)
    page.types.toggle(page.types.names.index("F16"))
    assert "missing" in page.disk.verdict.text() and page.disk.missing > 1_000_000
    assert not page.start.isEnabled() and "does not fit" in page.start.toolTip()
    page.types.toggle(page.types.names.index("F16"))
    page.types.toggle(page.types.names.index("Q4_K_M"))
    assert "Tick a type" in page.start.toolTip()


def test_a_base_that_has_gone_is_told_with_a_way_back(page: ExportPage, qtbot: QtBot) -> None:
    project = page.context.session.project
    assert project is not None
    record = project.runs()[-1].spec_path
    good = record.read_text()
    record.write_text(good.replace("source: starter", "source: /models/gone"))
    page._survey()
    qtbot.waitUntil(lambda: page.states.state() == "error", timeout=10_000)
    assert "not there" in page.error.text.text() and not page.start.isEnabled()
    record.write_text(good)
    next(each for each in page.error.findChildren(QPushButton) if each.text() == "Look again").click()
    qtbot.waitUntil(lambda: page.states.state() == "full", timeout=10_000)


def test_nothing_trained_leads_to_train(window: Window, qtbot: QtBot, starter_project: Project) -> None:
    window.open_project(starter_project.folder)
    window.show_page("export")
    page = window.page("export")
    assert isinstance(page, ExportPage) and page.states.state() == "empty" and not page.start.isVisible()


def test_a_target_that_cannot_be_made_is_not_offered(qtbot: QtBot, page: ExportPage) -> None:
    cards = TargetCards()
    qtbot.addWidget(cards)
    cards.cards["adapter"].setChecked(True)
    cards.say({"adapter": TargetForecast(problem="It has no adapter: it is a full model.")})
    assert not cards.cards["adapter"].isEnabled() and "no adapter" in cards.cards["adapter"].toolTip()
    assert cards.chosen_key() == "gguf"
    page.targets.cards["merged"].click()
    assert page.kinds.state() == "plain" and "folder" in page.plain.text()


def test_an_adapter_as_gguf_is_checked_too_and_shows_it(page: ExportPage, qtbot: QtBot) -> None:
    page.targets.cards["merged"].click()
    assert page.checks.isHidden(), "nothing reads a merged folder to check it"
    assert page.verification.badge.text() == "No check"
    page.targets.cards["gguf_adapter"].click()
    assert page.checks.isVisible() and page.checks.isChecked()
    page.start.click()
    qtbot.waitUntil(lambda: page.run is None and page.verification.exported is not None, timeout=LONG)
    exported = page.verification.exported
    assert exported is not None and exported.path.name.endswith("-adapter.gguf")
    assert page.verification.badge.text() == "Passed" and page.verification.chat.isHidden()
    names = " ".join(each.accessibleName() for each in page.verification.findChildren(QWidget))
    assert "Same next word: " in names and "Drift: " in names
    page.targets.cards["gguf"].click()
    assert page.checks.isVisible()


def test_all_types_are_a_click_away_and_ticks_stay(qtbot: QtBot, page: ExportPage) -> None:
    assert len(page.types.names) < len(TYPES)
    page.all_types.click()
    assert page.types.names == list(TYPES)
    page.types.toggle(page.types.names.index("Q2_K"))
    page.all_types.click()
    assert "Q2_K" in page.types.names and page.types.in_order()[-1] == "Q2_K"


def test_a_click_ticks_and_a_lock_holds(qtbot: QtBot, page: ExportPage) -> None:
    model = TypesModel()
    table = TypesTable(model)
    qtbot.addWidget(table)
    table.resize(700, 400)
    table.show()
    box = table.visualRect(model.index(0, 4)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=box)
    assert model.names[0] in model.chosen
    model.lock(True)
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=box)
    assert model.names[0] in model.chosen


def test_a_failed_file_says_so_first(qtbot: QtBot, page: ExportPage) -> None:
    card = VerificationCard()
    qtbot.addWidget(card)
    report = {
        "passed": False, "problems": ["The file continues text differently from the tuned model."], "positions": 400,
        "agreement": 0.12, "least_agreement": 0.75, "mean_kl": 5.1, "most_kl": 0.3, "has_equal_tokens": True, "rows": 9,
    }  # fmt: skip
    card.show_exported(Exported(Path("/x/a-Q4_K_M.failed-check.gguf"), 1000, 0.0, report))
    assert card.badge.text() == "Failed"
    names = " ".join(each.accessibleName() for each in card.findChildren(type(card.badge).__mro__[1]))
    assert "Same next word: 12.0 %, not good" in names and "Drift: 5.1000, not good" in names


def test_a_huge_file_still_fits_the_mosaic(qtbot: QtBot, page: ExportPage) -> None:
    mosaic = Mosaic()
    qtbot.addWidget(mosaic)
    mosaic.resize(600, 78)
    mosaic.show_tensors([(f"t{at}", 1) for at in range(1_500)], 700, is_over=False)
    pitch, columns = mosaic._grid()
    assert -(-1_500 // columns) * pitch <= 78
    mosaic.grab()


def test_pace_says_nothing_it_does_not_know() -> None:
    assert pace(FileState(Path("a"), 4_280_000_000)) == "0 GB of 4.3 GB"


def test_a_run_told_out_of_order_does_no_harm(page: ExportPage) -> None:
    """Events that name unknown files, and phases without a file."""
    from studio.protocol import events

    class Still:
        def job(self, *_: object, **__: object) -> None: ...

    run = ExportRun(Still(), {})  # type: ignore[arg-type]
    run._take(events.Phase(name="Writing x.gguf", done=1, total=2, unit="bytes"))
    run._take(events.Result(value={"path": "/y.gguf", "tensors": [["a", 1]]}))
    run._take(events.Phase(name="Loading the tuned model for the check"))
    assert run.current is None and run.share is None
