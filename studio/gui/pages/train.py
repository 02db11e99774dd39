"""Train: how a run is doing, live or afterwards."""

from __future__ import annotations

from studio.gui import figures
from studio.gui.context import Context
from studio.gui.icons import Icon
from studio.gui.page import Page, PageWidget


def _build(context: Context) -> PageWidget:
    from studio.gui.train_page.page import TrainPage

    return TrainPage(context)


def _fact(context: Context) -> str:
    live = context.session.live
    if live is None or live.has_ended:
        return ""
    return figures.share(live.share) if live.share is not None else "…"


PAGE = Page(key="train", title="Train", icon=Icon.TRAIN, order=30, build=_build, fact=_fact)
