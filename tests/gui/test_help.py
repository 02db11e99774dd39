"""F1 says what the focused control is."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit, QToolTip
from pytestqt.qtbot import QtBot

from studio.gui.forms.row import FieldRow
from studio.gui.window import Window
from studio.project.folder import Project


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
