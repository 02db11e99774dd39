"""Preferences: what a person prefers on this computer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studio.gui.icons import Icon
from studio.gui.page import Page, PageWidget

if TYPE_CHECKING:
    from studio.gui.context import Context


def _build(context: Context) -> PageWidget:
    from studio.gui.preferences_page.page import PreferencesPage

    return PreferencesPage(context)


PAGE = Page(key="preferences", title="Preferences", icon=Icon.SETTINGS, order=91, build=_build, needs_project=False)
