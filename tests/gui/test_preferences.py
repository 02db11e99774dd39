"""Preferences: each field takes effect at once, is kept, and can be undone."""

from __future__ import annotations

from pathlib import Path

import keyring
import keyring.backends.fail
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from studio.gui.context import Context
from studio.gui.preferences_page.page import PreferencesPage
from studio.gui.window import Window
from studio.preferences import load_preferences
from studio.project.folder import Project
from tests.unit.models.test_hub_search import TOKEN, MemoryKeyring


@pytest.fixture
def page(window: Window, context: Context) -> PreferencesPage:
    window.show_page("preferences")
    found = window.findChild(PreferencesPage)
    assert isinstance(found, PreferencesPage)
    return found


def button(page: PreferencesPage, name: str) -> QAbstractButton:
    return next(found for found in page.findChildren(QAbstractButton) if found.accessibleName() == name)


def test_a_choice_takes_effect_at_once_is_kept_and_can_be_undone(page: PreferencesPage, context: Context) -> None:
    button(page, "Theme: Light").click()
    assert context.preferences.theme == load_preferences().theme == "light"
    button(page, "Reduce motion").click()
    assert load_preferences().reduce_motion
    page.undo.click()
    page.undo.click()
    assert load_preferences().theme == "system" and not load_preferences().reduce_motion
    assert button(page, "Theme: System").isChecked() and not page.undo.isEnabled()


def test_a_bad_address_is_said_and_not_kept(qtbot: QtBot, page: PreferencesPage, context: Context) -> None:
    row = next(row for form in page.forms.values() for row in form.rows if row.facts.name == "hub_endpoint")
    row.edited.emit("hub_endpoint", "not an address")
    assert "Hub address" in row.help.text() and context.preferences.hub_endpoint == ""


def test_folders_are_listed_with_a_cross_each(page: PreferencesPage, context: Context) -> None:
    row = next(row for form in page.forms.values() for row in form.rows if row.facts.name == "model_folders")
    row.edited.emit("model_folders", ["/models/a", "/models/b"])
    button(page, "Do not list /models/a").click()
    assert context.preferences.model_folders == ["/models/b"]


def test_a_folder_that_speeds_up_nothing_is_said_at_the_field(
    qtbot: QtBot, page: PreferencesPage, context: Context, starter_project: Project, tmp_path: Path
) -> None:
    context.session.open(starter_project.folder)
    row = next(row for form in page.forms.values() for row in form.rows if row.facts.name == "stream_folders")
    near, gone = tmp_path / "near", tmp_path / "gone"
    near.mkdir()
    row.edited.emit("stream_folders", [str(near), str(gone)])
    qtbot.waitUntil(lambda: f"{near} is on the same drive as {starter_project.folder}" in row.help.text(), timeout=9000)
    assert f"{gone} is not there" in row.help.text() and context.preferences.stream_folders == [str(near), str(gone)]
    row.edited.emit("stream_folders", [])
    qtbot.waitUntil(lambda: row.help.text() == row.facts.help, timeout=9000)


def test_search_leaves_what_was_meant(qtbot: QtBot, page: PreferencesPage) -> None:
    qtbot.keyClicks(page.search, "offline")
    assert not page.cards["Models"].isHidden() and page.cards["Appearance"].isHidden()
    page.search.setText("zebra")
    assert page.states.state() == "empty"
    page.search.clear()
    assert page.states.state() == "full" and not page.cards["Appearance"].isHidden()


def test_a_token_goes_into_the_keyring_and_is_never_shown_again(qtbot: QtBot, page: PreferencesPage) -> None:
    before = keyring.get_keyring()
    kept = MemoryKeyring()
    keyring.set_keyring(kept)
    try:
        page.token.refresh()
        qtbot.waitUntil(page.token.field.isVisible)
        page.token.field.setText("nonsense")
        qtbot.keyClick(page.token.field, Qt.Key.Key_Return)
        qtbot.waitUntil(lambda: "no Hub token" in page.token.help.text())
        page.token.field.setText(TOKEN)
        page.token.keep.click()
        qtbot.waitUntil(page.token.forget.isVisible)
        assert list(kept.kept.values()) == [TOKEN] and page.token.field.text() == ""
        page.token.forget.click()
        qtbot.waitUntil(page.token.field.isVisible)
        assert not kept.kept
        keyring.set_keyring(keyring.backends.fail.Keyring())
        page.token.refresh()
        qtbot.waitUntil(lambda: "no keyring" in page.token.help.text())
    finally:
        keyring.set_keyring(before)
