"""Export: a tuned model as files that other programs run, checked."""

from __future__ import annotations

from studio.gui.context import Context
from studio.gui.icons import Icon
from studio.gui.page import Page, PageWidget


def _build(context: Context) -> PageWidget:
    from studio.gui.export_page.page import ExportPage

    return ExportPage(context)


PAGE = Page(key="export", title="Export", icon=Icon.EXPORT, order=50, build=_build)
