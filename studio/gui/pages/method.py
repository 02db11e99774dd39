"""Method: from a goal to a run that may start, in six steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studio.gui.icons import Icon
from studio.gui.page import Page, PageWidget
from studio.methods import METHODS

if TYPE_CHECKING:
    from studio.gui.context import Context


def _build(context: Context) -> PageWidget:
    from studio.gui.method_page.page import MethodPage

    return MethodPage(context)


def _fact(context: Context) -> str:
    """The chosen method."""
    spec = context.session.spec
    return METHODS.get(spec.method.key).title if spec is not None else ""


PAGE = Page(key="method", title="Method", icon=Icon.METHOD, order=20, build=_build, fact=_fact)
