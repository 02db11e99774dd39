"""Python's search for rings of objects that nobody needs, in the window's thread alone.

By itself it happens in whichever thread makes one object too many, and what is found is taken apart there. A Qt object
that is taken apart outside its own thread ends the program now and then: a thread that reads a long run makes many.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtWidgets import QApplication

_EVERY_MS = 200
_MOST_PUT_OFF = 500  # smaller searches, half an hour of hard work


class Collector(QObject):
    """Searches from the event loop, as often as Python would, but for the full search.

    That is a tenth of a second once all libraries are loaded: it waits until people look at another window.
    """

    def __init__(self, parent: QApplication) -> None:
        super().__init__(parent)
        gc.disable()
        parent.applicationStateChanged.connect(_on_state)
        self._timer = QTimer(self, interval=_EVERY_MS)
        self._timer.timeout.connect(_look)
        self._timer.start()

    def stop(self) -> None:
        """Leave it to Python again."""
        self._timer.stop()
        gc.enable()


def _look() -> None:
    """The oldest generation that is due, and with it all younger ones."""
    most = *gc.get_threshold()[:2], _MOST_PUT_OFF
    due = [at for at, count in enumerate(gc.get_count()) if count > most[at]]
    if due:
        gc.collect(due[-1])


def _on_state(state: Qt.ApplicationState) -> None:
    if state == Qt.ApplicationState.ApplicationInactive:
        gc.collect()
