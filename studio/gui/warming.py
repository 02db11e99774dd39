"""Loads what the next pages need while nobody waits: a page's first opening must not stop the window for libraries."""

from __future__ import annotations

import importlib

from PySide6.QtCore import QTimer

from studio.gui.context import Context
from studio.gui.tasks import Control

_AFTER_MS = 600
# Nothing of Qt: classes of widgets are made in the window's thread. Largest first; each is loaded with pauses between.
_MODULES = (
    "numpy",
    "jinja2.sandbox",
    "tokenizers",
    "studio.data.store.findings",
    "studio.data.store.seen",
    "studio.data.store.copying",
    "studio.data.store.editing",
    "studio.formats",
    "studio.planner.lengths",
)


def warm_up(context: Context) -> None:
    """Begin, a moment after the window is there."""
    QTimer.singleShot(_AFTER_MS, context, lambda: context.tasks.run(_load))


def _load(control: Control) -> None:
    for name in _MODULES:
        if control.is_cancelled():
            return
        importlib.import_module(name)
