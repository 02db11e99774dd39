"""Loads what the next pages need while nobody waits: a page's first opening must not stop the window for libraries."""

from __future__ import annotations

import gc
import importlib

from PySide6.QtCore import QTimer

from studio.gui.context import Context
from studio.gui.tasks import Control
from studio.methods import METHODS
from studio.objectives import OBJECTIVES
from studio.optimizers import OPTIMIZERS

_AFTER_MS, _BETWEEN_MS = 600, 25
# Nothing of Qt: loaded on a thread.
_LIBRARIES = (
    "numpy",
    "jinja2.sandbox",
    "studio.data.store.findings",
    "studio.data.store.seen",
    "studio.data.store.copying",
    "studio.data.store.editing",
    "studio.formats",
    "studio.planner.lengths",
    "studio.planner.ladder",
    "studio.planner.row_sample",
    "studio.models.on_disk",
    "studio.project.starting",
    "keyring",
)
# Classes of widgets are made in the window's thread: one module at a time, a few milliseconds each. What draws plots is
# not here: its library is loaded when a page first wants it.
_WIDGETS = (
    "studio.gui.data_page.feed",
    "studio.gui.data_page.seer",
    "studio.gui.data_page.rows_table",
    "studio.gui.data_page.token_view",
    "studio.gui.data_page.row_card",
    "studio.gui.data_page.length_card",
    "studio.gui.data_page.findings_card",
    "studio.gui.data_page.table_card",
    "studio.gui.data_page.dialogs",
    "studio.gui.data_page.actions",
    "studio.gui.data_page.chosen_row",
    "studio.gui.data_page.page",
    "studio.gui.forms",
    "studio.gui.models_page.picker",
    "studio.gui.method_page.method_step",
    "studio.gui.method_page.settings_step",
    "studio.gui.method_page.page",
    "studio.gui.train_page.failed_card",
    "studio.gui.train_page.figures_strip",
    "studio.gui.train_page.lanes",
    "studio.gui.train_page.page",
    "studio.gui.playground_page.chat",
    "studio.gui.playground_page.checkpoint_slider",
    "studio.gui.playground_page.column",
    "studio.gui.playground_page.composer",
    "studio.gui.playground_page.correction_flow",
    "studio.gui.playground_page.page",
    "studio.gui.export_page.target_cards",
    "studio.gui.export_page.page",
    "studio.gui.runs_page.page",
    "studio.gui.models_page.page",
    "studio.gui.preferences_page.page",
)


def warm_up(context: Context) -> None:
    """Begin, a moment after the window is there."""
    QTimer.singleShot(
        _AFTER_MS, context, lambda: context.tasks.run(_load, on_done=lambda _: _load_widgets(context, _WIDGETS))
    )


def _load(control: Control) -> None:
    for name in _LIBRARIES:
        if control.is_cancelled():
            return
        importlib.import_module(name)
    for registry in (
        METHODS,
        OPTIMIZERS,
        OBJECTIVES,
    ):  # each unit declares its settings; all at once is a tenth of a second
        registry.all()


def _load_widgets(context: Context, names: tuple[str, ...]) -> None:
    if names:
        importlib.import_module(names[0])
        QTimer.singleShot(_BETWEEN_MS, context, lambda: _load_widgets(context, names[1:]))
    else:
        gc.freeze()  # what is loaded stays: without this each full collection walks all of it, a twentieth of a second
