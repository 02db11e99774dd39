"""Pens of plots: as wide on the screen as they say, whatever the scale of the data."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPen


def pen(colour: QColor, width: float = 1.0, style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> QPen:
    """A pen of `width` pixels."""
    made = QPen(colour, width, style)
    made.setCosmetic(True)
    return made
