"""Emptying a layout whose widgets are made anew, and turning one when the text is set large."""

from __future__ import annotations

from PySide6.QtWidgets import QBoxLayout, QLayout

from studio.gui.theme import theme

_LARGE = 1.15


def clear(layout: QLayout) -> None:
    """Take everything out; widgets go at once from sight, and for good as soon as nothing speaks to them any more."""
    while (item := layout.takeAt(0)) is not None:
        if (inner := item.layout()) is not None:
            clear(inner)
        if (widget := item.widget()) is not None:
            widget.hide()
            widget.deleteLater()


def stack_when_large(layout: QBoxLayout) -> None:
    """Side by side, or one below the other once "Text size" leaves no room for that."""

    def turn() -> None:
        is_large = theme().scale > _LARGE
        layout.setDirection(QBoxLayout.Direction.TopToBottom if is_large else QBoxLayout.Direction.LeftToRight)

    turn()
    theme().changed.connect(turn)
