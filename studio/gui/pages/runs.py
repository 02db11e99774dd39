"""Runs: all runs of the project, side by side."""

from __future__ import annotations

from studio.gui import figures
from studio.gui.context import Context
from studio.gui.icons import Icon
from studio.gui.page import Page, PageWidget


def _build(context: Context) -> PageWidget:
    from studio.gui.runs_page.page import RunsPage

    return RunsPage(context)


def _fact(context: Context) -> str:
    return figures.count(len(context.session.runs)) if context.session.runs else ""


PAGE = Page(key="runs", title="Runs", icon=Icon.RUNS, order=60, build=_build, fact=_fact)
