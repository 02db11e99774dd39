"""Models: what is on this computer, and what the Hub has. Others lead here; it has no place in the rail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studio.gui.icons import Icon
from studio.gui.page import Page, PageWidget

if TYPE_CHECKING:
    from studio.gui.context import Context


def _build(context: Context) -> PageWidget:
    from studio.gui.models_page.page import ModelsPage

    return ModelsPage(context)


PAGE = Page(
    key="models",
    title="Models",
    icon=Icon.MODEL,
    order=92,
    build=_build,
    is_in_rail=False,
    needs_project=False,
)
