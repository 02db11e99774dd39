"""Pens of plots: as wide on the screen as they say, whatever the scale of the data."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication, QPen


def pen(colour: QColor, width: float = 1.0, style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> QPen:
    """A pen of `width` pixels as layouts count them; a hairline is one of the screen's own."""
    # Qt counts a cosmetic pen in the screen's pixels: at 200 % a line would be half as wide.
    made = QPen(colour, width * _screen_pixels() if width > 1 else width, style)
    made.setCosmetic(True)
    return made


def _screen_pixels() -> float:
    """Pixels of the screen in one of a layout, on the finest screen there is."""
    application = QGuiApplication.instance()
    return application.devicePixelRatio() if isinstance(application, QGuiApplication) else 1.0
