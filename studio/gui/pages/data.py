"""Data: the rows, what the model sees of each, how long they are, and what is odd about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studio.gui import figures
from studio.gui.icons import Icon
from studio.gui.page import Page, PageWidget

if TYPE_CHECKING:
    from studio.gui.context import Context


def _build(context: Context) -> PageWidget:
    from studio.gui.data_page.page import DataPage

    return DataPage(context)


def _fact(context: Context) -> str:
    rows = context.session.num_rows
    return "" if rows is None or context.session.project is None else figures.count(rows)


PAGE = Page(key="data", title="Data", icon=Icon.DATA, order=10, build=_build, fact=_fact)
