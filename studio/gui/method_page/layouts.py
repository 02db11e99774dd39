"""Emptying a layout whose widgets are made anew, and a row that turns when the text is set large."""

from __future__ import annotations

from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QLayout

from studio.gui.theme import theme

LARGE = 1.15


def clear(layout: QLayout) -> None:
    """Take everything out; widgets go at once from sight, and for good as soon as nothing speaks to them any more."""
    while (item := layout.takeAt(0)) is not None:
        if (inner := item.layout()) is not None:
            clear(inner)
        if (widget := item.widget()) is not None:
            widget.hide()
            widget.deleteLater()


class TurningRow(QHBoxLayout):
    """Side by side, or one below the other once "Text size" leaves no room for that."""

    def __init__(self) -> None:
        super().__init__()
        self._turn()
        theme().changed.connect(self._turn)

    def _turn(self) -> None:
        is_large = theme().scale > LARGE
        self.setDirection(QBoxLayout.Direction.TopToBottom if is_large else QBoxLayout.Direction.LeftToRight)
