"""The shell: pages, palette, keys, toasts, drops, closing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from studio.errors import UserError
from studio.gui.context import Activity, Context
from studio.gui.dropping import recognise
from studio.gui.window import Window
from studio.project.folder import Project
from studio.spec.values import set_values
from tests.gui.samples import FEW_STEPS
from tests.helpers.forbidden import needs_rights, read_only


def test_the_palette_finds_and_acts(window: Window, qtbot: QtBot, starter_project: Project) -> None:
    window.open_project(starter_project.folder)
    qtbot.keyClick(window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    assert window.palette_view.isVisible()
    qtbot.keyClicks(window.palette_view.query, "prefer")
    qtbot.keyClick(window.palette_view.query, Qt.Key.Key_Return)
    assert window.page_key == "preferences"
    assert not window.palette_view.isVisible()


def test_the_palette_leads_to_what_the_rail_does_not_show(window: Window, qtbot: QtBot) -> None:
    window.palette_view.open()
    qtbot.keyClicks(window.palette_view.query, "models")
    qtbot.keyClick(window.palette_view.query, Qt.Key.Key_Return)
    assert window.page_key == "models"


def test_escape_closes_the_palette(window: Window, qtbot: QtBot) -> None:
    window.palette_view.open()
    qtbot.keyClick(window.palette_view.query, Qt.Key.Key_Escape)
    assert not window.palette_view.isVisible()


def test_opening_a_project_reads_facts_and_runs(window: Window, qtbot: QtBot, starter_project: Project) -> None:
    with qtbot.waitSignal(window.context.session.facts_changed, timeout=10_000, check_params_cb=None):
        window.open_project(starter_project.folder)
    qtbot.waitUntil(lambda: window.context.session.facts is not None, timeout=10_000)
    assert "Starter voice" in window.windowTitle()


def test_an_edit_is_saved_and_undone(window: Window, qtbot: QtBot, starter_project: Project) -> None:
    window.open_project(starter_project.folder)
    session = window.context.session
    session.edit("method.rank=8", label="Rank")
    assert starter_project.draft().method.rank == 8  # type: ignore[attr-defined]
    qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert starter_project.draft().method.rank == 16  # type: ignore[attr-defined]


@needs_rights
def test_an_edit_that_cannot_be_saved_is_told_and_saved_with_the_next(
    window: Window, qtbot: QtBot, starter_project: Project
) -> None:
    window.open_project(starter_project.folder)
    session = window.context.session
    with read_only(starter_project.folder):
        session.edit("method.rank=8", label="Rank")
        session.undo_stack.undo()
        session.undo_stack.redo()
    assert "The change could not be saved" in window.toasts.texts()[-1]
    assert session.spec is not None and starter_project.draft() != session.spec
    session.edit("method.alpha=4", label="Alpha")
    assert starter_project.draft() == session.spec
    assert session.spec.method.rank == 8  # type: ignore[attr-defined]


def test_a_wrong_edit_changes_nothing(window: Window, starter_project: Project) -> None:
    window.open_project(starter_project.folder)
    with pytest.raises(UserError, match="rank"):
        window.context.session.edit("method.rank=0", label="Rank")
    assert not window.context.session.undo_stack.canUndo()


def test_a_folder_that_is_no_project_is_told(window: Window, tmp_path: Path) -> None:
    assert not window.open_project(tmp_path)
    assert "is no project" in window.toasts.texts()[0]


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("rows with spaces.jsonl", b'{"text": "x"}\n', "data"),
        ("ünïcode 🎻.csv", b"a,b\n1,2\n", "data"),
        ("model.gguf", b"GGUF\x03\0\0\0", "gguf"),
        ("renamed.bin", b"GGUF\x03\0\0\0", "gguf"),
        ("shared.tunesmith", b"PK\x03\x04", "bundle"),
        (f"{'long' * 50}.jsonl", b"{}\n", "data"),
    ],
)
def test_what_is_dropped_is_recognised(tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert recognise(path).kind == kind


def test_what_cannot_be_used_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither a project nor a model folder"):
        recognise(tmp_path)
    with pytest.raises(UserError, match="not there any more"):
        recognise(tmp_path / "gone.jsonl")


def test_settings_changed_elsewhere_are_read_again(window: Window, qtbot: QtBot, starter_project: Project) -> None:
    window.open_project(starter_project.folder)
    session = window.context.session
    session.edit("method.rank=8", label="Rank")
    other = set_values(starter_project.draft(), ["method.rank=32"])
    with qtbot.waitSignal(session.disturbed, timeout=10_000):
        starter_project.save(other)
    assert session.spec == other
    assert not session.undo_stack.canUndo()


def test_a_project_that_is_deleted_is_left(window: Window, qtbot: QtBot, starter_project: Project) -> None:
    window.open_project(starter_project.folder)
    with qtbot.waitSignal(window.context.session.disturbed, timeout=10_000):
        shutil.rmtree(starter_project.folder)
    assert window.context.session.project is None
    assert window.page_key == "home"
    assert "not there any more" in window.toasts.texts()[-1]


def test_a_run_that_ends_is_announced(window: Window, qtbot: QtBot, starter_project: Project) -> None:
    starter_project.save(set_values(starter_project.draft(), [*FEW_STEPS, "train.steps=2", "train.eval_every=0"]))
    window.open_project(starter_project.folder)
    window.context.session.start_run()
    qtbot.waitUntil(lambda: any("LoRA, run 1 is finished" in text for text in window.toasts.texts()), timeout=120_000)
    assert window.context.session.live is None or window.context.session.live.has_ended


def test_two_windows_on_one_project_both_see_the_run(
    window: Window, qtbot: QtBot, starter_project: Project, qapp: QApplication
) -> None:
    starter_project.save(set_values(starter_project.draft(), [*FEW_STEPS, "train.steps=4"]))
    window.open_project(starter_project.folder)
    second = Context()
    try:
        second.session.open(starter_project.folder)
        window.context.session.start_run()
        qtbot.waitUntil(lambda: second.session.live is not None, timeout=60_000)
        qtbot.waitUntil(
            lambda: bool(second.session.runs) and second.session.runs[0].state.status == "done", timeout=120_000
        )
        qtbot.waitUntil(lambda: window.context.session.runs[0].state.status == "done", timeout=20_000)
    finally:
        second.session.close()
        second.tasks.close()


def test_the_strip_shows_what_a_page_does_and_leads_there(
    window: Window, qtbot: QtBot, starter_project: Project
) -> None:
    window.open_project(starter_project.folder)
    job = window.strip._job
    assert job.accessibleName() == "Nothing is running"
    window.context.show_activity(Activity("export", "Writing", "voice-Q8_0.gguf", 0.5))
    assert job.accessibleName() == "Writing, voice-Q8_0.gguf, 50 %"
    qtbot.mouseClick(job, Qt.MouseButton.LeftButton)
    assert window.page_key == "export"
    window.context.show_activity(None)
    assert job.accessibleName() == "Nothing is running"
