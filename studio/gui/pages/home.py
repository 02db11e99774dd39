"""Home: a new project in three answers, the starter to try, recent projects, and what this computer can do."""

from __future__ import annotations

from studio.gui.context import Context
from studio.gui.icons import Icon
from studio.gui.page import Page, PageWidget


def _build(context: Context) -> PageWidget:
    from studio.gui.home_page.page import HomePage

    return HomePage(context)


PAGE = Page(key="home", title="Home", icon=Icon.HOME, order=0, build=_build, needs_project=False)
