"""Loads and builds what comes next, in pieces, while nobody waits: a page's first opening must not stop the window."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterator

from PySide6.QtCore import QTimer

from studio.export.target import TARGETS
from studio.gui import qt_types
from studio.gui.tasks import Control
from studio.gui.window import Window
from studio.methods import METHODS
from studio.objectives import OBJECTIVES
from studio.optimizers import OPTIMIZERS

_AFTER_MS, _BETWEEN_MS = 600, 25
# Nothing of Qt: loaded on a thread.
_LIBRARIES = (
    "numpy",
    "jinja2.sandbox",
    "studio.data.store.head",
    "studio.data.store.findings",
    "studio.data.store.seen",
    "studio.data.store.copying",
    "studio.data.store.editing",
    "studio.formats",
    "studio.spec.fields",
    "studio.spec.presets",
    "studio.spec.sampling",
    "studio.spec.wizard",
    "studio.planner.lengths",
    "studio.planner.ladder",
    "studio.planner.row_sample",
    "studio.models.on_disk",
    "studio.models.hub_files",
    "studio.models.hub_search",
    "studio.models.streamed_copies",
    "studio.project.starting",
    "studio.project.conversations",
    "studio.project.corrections",
    "studio.project.health",
    "studio.project.run_digest",
    "studio.project.run_keeping",
    "studio.project.run_rows",
    "studio.export.exports",
    "studio.export.verify",
    "keyring",
)
# Classes of widgets are made in the window's thread: one module at a time, a few milliseconds each. What draws plots is
# not here: its library is loaded when a page first wants it.
_WIDGETS = (
    "studio.gui.data_page.work",
    "studio.gui.data_page.feed",
    "studio.gui.data_page.seer",
    "studio.gui.data_page.rows_model",
    "studio.gui.data_page.rows_table",
    "studio.gui.data_page.token_view",
    "studio.gui.data_page.row_card",
    "studio.gui.data_page.length_card",
    "studio.gui.data_page.findings_card",
    "studio.gui.data_page.table_card",
    "studio.gui.data_page.columns_dialog",
    "studio.gui.data_page.actions",
    "studio.gui.data_page.chosen_row",
    "studio.gui.forms.editors",
    "studio.gui.forms",
    "studio.gui.data_page.page",
    "studio.gui.models_page.rows",
    "studio.gui.models_page.hub_list",
    "studio.gui.models_page.picker",
    "studio.gui.method_page.forecasts",
    "studio.gui.method_page.method_card",
    "studio.gui.method_page.plan",
    "studio.gui.method_page.method_step",
    "studio.gui.method_page.settings_step",
    "studio.gui.method_page.check_step",
    "studio.gui.method_page.model_step",
    "studio.gui.method_page.starting",
    "studio.gui.method_page.page",
    "studio.gui.train_page.run_watch",
    "studio.gui.train_page.failed_card",
    "studio.gui.train_page.figures_strip",
    "studio.gui.train_page.lanes",
    "studio.gui.train_page.header",
    "studio.gui.train_page.steering",
    "studio.gui.train_page.page",
    "studio.gui.playground_page.chat",
    "studio.gui.playground_page.checkpoint_slider",
    "studio.gui.playground_page.markdown",
    "studio.gui.playground_page.column",
    "studio.gui.playground_page.composer",
    "studio.gui.playground_page.correction_flow",
    "studio.gui.playground_page.sampling_card",
    "studio.gui.playground_page.page",
    "studio.gui.export_page.target_cards",
    "studio.gui.export_page.types_table",
    "studio.gui.export_page.verification",
    "studio.gui.export_page.export_run",
    "studio.gui.export_page.exports_card",
    "studio.gui.export_page.page",
    "studio.gui.runs_page.library",
    "studio.gui.runs_page.page",
    "studio.gui.models_page.page",
    "studio.gui.preferences_page.page",
)
# In the order in which people come to them.
_PAGES = ("data", "method", "train", "playground", "export", "runs", "preferences", "models")
_OVER = object()


def warm_up(window: Window) -> None:
    """Begin, a moment after the window is there."""
    tasks = window.context.tasks
    begin = lambda: tasks.run(_load, on_done=lambda _: _go_on(window, _pieces(window)))  # noqa: E731
    QTimer.singleShot(_AFTER_MS, window, begin)


def _load(control: Control) -> None:
    for name in _LIBRARIES:
        if control.is_cancelled():
            return
        importlib.import_module(name)
    # Each unit declares its settings; all at once is a tenth of a second.
    for registry in (METHODS, OPTIMIZERS, OBJECTIVES, TARGETS):
        registry.all()


def _go_on(window: Window, pieces: Iterator[None]) -> None:
    """One piece, and the rest when the window has had time for what people do."""
    if window.isVisible() and next(pieces, _OVER) is not _OVER:
        _soon(window, pieces)


def _soon(window: Window, pieces: Iterator[None]) -> None:
    QTimer.singleShot(_BETWEEN_MS, window, lambda: _go_on(window, pieces))


def _pieces(window: Window) -> Iterator[None]:
    yield from qt_types.pieces()
    for name in _WIDGETS:
        importlib.import_module(name)
        yield
    for key in _PAGES:
        page = window.page(key)
        yield
        if not page.isVisible():
            page.resize(window.stack.size())
            page.grab()  # painted unseen: its fonts, icons and places are known when it is shown
            yield
    yield from _prepared(window)
    gc.freeze()  # what is loaded stays: a full search (see `Collector`) need not walk all of it each time
    window.context.session.project_changed.connect(lambda: _soon(window, _prepared(window)))


def _prepared(window: Window) -> Iterator[None]:
    """What pages show of a project, as far as it can be made before they are opened."""
    for key in _PAGES:
        yield from window.page(key).prepare()
