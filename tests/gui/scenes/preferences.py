"""Preferences as they are, and searched without a find."""

from __future__ import annotations

from studio.gui.preferences_page.page import PreferencesPage
from tests.gui.scenes import Scene, Stage


def _page(stage: Stage) -> PreferencesPage:
    stage.window.show_page("preferences")
    found = stage.window.findChild(PreferencesPage)
    assert isinstance(found, PreferencesPage)
    return found


def _full(stage: Stage) -> None:
    _page(stage)


def _empty(stage: Stage) -> None:
    _page(stage).search.setText("zebra")


def _error(stage: Stage) -> None:
    page = _page(stage)
    row = next(row for form in page.forms.values() for row in form.rows if row.facts.name == "text_size")
    row.edited.emit("text_size", 400)


SCENES = [Scene("full", _full), Scene("empty", _empty), Scene("error", _error)]
