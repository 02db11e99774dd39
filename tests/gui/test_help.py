"""F1 says what the focused control is."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLineEdit, QToolTip, QWidget
from pytestqt.qtbot import QtBot

from studio.formats import recognise
from studio.gui.bundle_dialogs import where_dialog
from studio.gui.context import Context
from studio.gui.controls import confirm
from studio.gui.data_page.columns_dialog import ColumnsDialog
from studio.gui.data_page.dialogs import EditDialog, GoToDialog
from studio.gui.faults import fault_dialog
from studio.gui.forms.row import FieldRow
from studio.gui.models_page.picker import ModelPicker
from studio.gui.playground_page.prompt_dialog import PromptDialog
from studio.gui.plots.plot_table import PlotTable
from studio.gui.window import Window
from studio.project.bundle_rules import Manifest, Origin
from studio.project.folder import Project
from tests.gui.driver import Hands


def test_a_setting_tells_its_help_and_what_files_call_it(
    window: Window, qtbot: QtBot, starter_project: Project
) -> None:
    window.open_project(starter_project.folder)
    window.show_page("method")
    page = window.stack.currentWidget()
    qtbot.waitUntil(lambda: any(row.isVisible() for row in page.findChildren(FieldRow)), timeout=20_000)
    row = next(row for row in page.findChildren(FieldRow) if row.isVisible() and row.editor.findChild(QLineEdit))
    field = row.editor.findChild(QLineEdit)
    assert field is not None
    field.setFocus()
    qtbot.keyClick(field, Qt.Key.Key_F1)
    assert QToolTip.isVisible()
    assert row.facts.help in QToolTip.text() and f"<code>{row.facts.path}</code>" in QToolTip.text()
    qtbot.keyClick(field, Qt.Key.Key_F1)
    qtbot.waitUntil(lambda: not QToolTip.isVisible(), timeout=5_000)


def test_nothing_chosen_says_how_to_choose(window: Window, qtbot: QtBot) -> None:
    window.setFocus()
    qtbot.keyClick(window, Qt.Key.Key_F1)
    assert "Tab" in QToolTip.text() and "Ctrl+K" in QToolTip.text()
    QToolTip.hideText()


def test_a_question_says_what_is_asked_and_its_answers_stay_to_be_given(window: Window, qtbot: QtBot) -> None:
    said: list[str] = []

    def look(dialog: QWidget) -> None:
        focus = QApplication.focusWidget()
        assert focus is not None and dialog.isAncestorOf(focus)
        qtbot.keyClick(focus, Qt.Key.Key_F1)
        said.append(QToolTip.text())
        qtbot.keyClick(focus, Qt.Key.Key_F1)
        qtbot.waitUntil(lambda: not QToolTip.isVisible(), timeout=5_000)
        qtbot.keyClick(focus, Qt.Key.Key_Return)

    Hands(window, qtbot).in_dialog(look)
    assert confirm(window, "Delete the run?", "It frees 12 MB & cannot be undone.", "Delete it", danger=True)
    assert "<b>Delete the run?</b>" in said[0] and "It frees 12 MB &amp; cannot be undone." in said[0]


def test_each_dialog_says_something_of_each_of_its_controls(window: Window, context: Context, qtbot: QtBot) -> None:
    question = {"question": "Who?", "answer": "Me."}
    reader = recognise([question])
    manifest = Manifest("Voice", "2026-11-01", "1.0", Origin("starter"), Origin("starter"))
    for dialog in (
        ColumnsDialog([question], "auto", {}, window),
        EditDialog("Row 1", question, reader, window),
        GoToDialog(1200, "row", 3, window),
        PromptDialog("<|user|>Who?", 4, "starter", window),
        ModelPicker(context, window),
        PlotTable("The curves as a table", ["Step", "Loss"], [["1", "2.500"]], window),
        fault_dialog(window, "a.py, line 1", "report", None),
        where_dialog(window, Path("voice.tunesmith"), manifest, Path("projects")),
    ):
        dialog.open()
        dialog.activateWindow()
        qtbot.waitUntil(dialog.isActiveWindow)
        controls = [each for each in dialog.findChildren(QWidget) if each.focusPolicy() & Qt.FocusPolicy.TabFocus]
        for control in [each for each in controls if each.isVisible() and each.isEnabled()]:
            control.setFocus()
            qtbot.keyClick(control, Qt.Key.Key_F1)
            assert QToolTip.isVisible() and "Choose a field" not in QToolTip.text(), (dialog.windowTitle(), control)
            QToolTip.hideText()
            qtbot.waitUntil(lambda: not QToolTip.isVisible(), timeout=5_000)
        dialog.reject()
        dialog.deleteLater()
