"""A file as a mosaic: one square a tensor, in the order of the file, the one at hand framed."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QRectF, QSize
from PySide6.QtGui import QHelpEvent, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from studio.gui import figures
from studio.gui.controls.bars import track_colour
from studio.gui.controls.painting import antialiased, edge_box, fill_box
from studio.gui.theme import tokens

_LARGEST, _LEAST = 11.0, 4.0
_HEIGHT = 78


class Mosaic(QWidget):
    """The mosaic."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tensors: Sequence[tuple[str, int]] = ()
        self._done, self._is_over = 0, False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Tensors written")

    def show_tensors(self, tensors: Sequence[tuple[str, int]], done: int, *, is_over: bool) -> None:
        """All tensors of the file, and how many are written; the next one is at hand unless it is over."""
        self._tensors, self._done, self._is_over = tensors, done, is_over
        self.setAccessibleDescription(f"{done} of {len(tensors)} tensors are written")
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(200, _HEIGHT)

    minimumSizeHint = sizeHint

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            pitch, columns = self._grid()
            at = int(event.y() // pitch) * columns + int(event.x() // pitch)
            if 0 <= at < len(self._tensors):
                name, size = self._tensors[at]
                QToolTip.showText(event.globalPos(), f"{name}, {figures.gigabytes(size)}", self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        pitch, columns = self._grid()
        side = pitch - max(1.0, pitch * 0.18)
        for at in range(len(self._tensors)):
            box = QRectF(at % columns * pitch, at // columns * pitch, side, side)
            fill_box(painter, box, side * 0.22, t.accent if at < self._done else track_colour())
            if at == self._done and not self._is_over:
                fill_box(painter, box, side * 0.22, t.accent)
                edge_box(painter, box.adjusted(-1, -1, 1, 1), side * 0.25, t.text, 1.5)

    def _grid(self) -> tuple[float, int]:
        """Pitch and columns: as large as fits the height."""
        pitch = _LARGEST
        while pitch > _LEAST:
            columns = max(1, int(self.width() // pitch))
            if -(-len(self._tensors) // columns) * pitch <= self.height():
                break
            pitch -= 0.5
        return pitch, max(1, int(self.width() // pitch))
