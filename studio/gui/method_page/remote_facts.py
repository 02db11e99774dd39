"""Facts of a model that is named but not here, asked of the Hub, so that a forecast needs no download."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from studio.gui.context import Context
from studio.gui.tasks import Control
from studio.models.facts import ModelFacts
from studio.models.hub_place import is_offline
from studio.models.source import is_hub_name

_LOOK_MS = 600  # reading a model that is here takes less


class RemoteFacts(QObject):
    """Facts of a model that is named but not here, asked of the Hub so that a forecast needs no download.

    Signals:
        changed(): they came.
    """

    changed = Signal()

    def __init__(self, context: Context, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._asked = ("", "")
        self._found: ModelFacts | None = None
        self._problem = ""
        self._timer = single_shot(self, _LOOK_MS, self._ask)

    @property
    def facts(self) -> ModelFacts | None:
        """Of the draft's model, None when it is here, or nobody knows."""
        return self._found if self._asked == self._wanted() else None

    @property
    def problem(self) -> str:
        """Why the Hub does not tell them."""
        return self._problem if self._asked == self._wanted() else ""

    def look(self) -> None:
        """Ask in a while, if the model is not found here by then."""
        if self._asked != self._wanted():
            self._timer.start()

    def stop(self) -> None:
        """Ask no more."""
        self._timer.stop()

    def _wanted(self) -> tuple[str, str]:
        session = self._context.session
        placed = session.placed_spec
        is_missing = placed is not None and session.facts is None and not session.facts_problem
        if placed is None or not is_missing or Path(placed.model.source).is_dir():
            return "", ""
        return placed.model.source, placed.model.revision

    def _ask(self) -> None:
        self._asked, self._found, self._problem = self._wanted(), None, ""
        if is_hub_name(self._asked[0]) and not is_offline():
            self._context.tasks.run(_ask_hub, *self._asked, on_done=self._on_found, on_error=self._on_error)

    def _on_found(self, facts: ModelFacts) -> None:
        self._found = facts
        self.changed.emit()

    def _on_error(self, error: Exception) -> None:
        self._problem = str(error)
        self.changed.emit()


def single_shot(parent: QObject, milliseconds: int, slot: Callable[[], object]) -> QTimer:
    """A timer that calls once, a while after it was last started."""
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(slot)
    return timer


def _ask_hub(control: Control, source: str, revision: str) -> ModelFacts:
    from studio.models.hub_facts import fetch_facts  # heavy: huggingface_hub

    return fetch_facts(source, revision)
