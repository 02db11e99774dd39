"""Playground: talk to a model before and after tuning, side by side."""

from __future__ import annotations

from studio.gui.context import Context
from studio.gui.icons import Icon
from studio.gui.page import Page, PageWidget


def _build(context: Context) -> PageWidget:
    from studio.gui.playground_page.page import PlaygroundPage

    return PlaygroundPage(context)


PAGE = Page(key="playground", title="Playground", icon=Icon.PLAYGROUND, order=40, build=_build)
