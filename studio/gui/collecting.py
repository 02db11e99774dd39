"""Python's search for rings of objects that nobody needs, in the window's thread alone.

By itself it happens in whichever thread makes one object too many, and what is found is taken apart there. A Qt object
that is taken apart outside its own thread ends the program now and then: a thread that reads a long run makes many.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer

_EVERY_MS = 200


class Collector(QObject):
    """Searches as often as Python would, from the event loop, as long as it is there."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        gc.disable()
        self._timer = QTimer(self, interval=_EVERY_MS)
        self._timer.timeout.connect(_look)
        self._timer.start()

    def stop(self) -> None:
        """Leave it to Python again."""
        self._timer.stop()
        gc.enable()


def _look() -> None:
    """The oldest generation that is due, and with it all younger ones."""
    due = [at for at, (count, most) in enumerate(zip(gc.get_count(), gc.get_threshold(), strict=True)) if count > most]
    if due:
        gc.collect(due[-1])
