"""Areas stacked on each other, as one item of a plot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from PySide6.QtCore import QRectF
from PySide6.QtGui import QBrush, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QStyleOptionGraphicsItem, QWidget

from studio.project.columns import Array


class Stack(pg.GraphicsObject):
    """Areas from the bottom up. Items of their own would each work out bounds and pieces anew with every change."""

    def __init__(self) -> None:
        super().__init__()
        self._looks: list[tuple[QBrush, QPen]] = []
        self._paths: dict[int, tuple[QPainterPath, QPainterPath]] = {}
        self._bounds = QRectF()

    def set_looks(self, looks: Sequence[tuple[QBrush, QPen]]) -> None:
        """How each area is filled, and what line goes along its top."""
        self._looks = list(looks)
        self.update()

    def set_sizes(self, x: Array, sizes: Array) -> None:
        """Stack `sizes` (areas, samples) along rising `x` (samples,)."""
        self.prepareGeometryChange()
        sums = np.cumsum(sizes, axis=0)
        self._paths = {at: _paths(x, sums[at]) for at, size in enumerate(sizes) if size.any()}
        highest = float(sums[-1].max()) if self._paths else 0.0
        self._bounds = QRectF(x[0], 0, x[-1] - x[0], highest) if self._paths else QRectF()

    def boundingRect(self) -> QRectF:
        return self._bounds

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)  # else seams show
        # The sum of all lies at the back, the lowest alone in front: no area between two curves is needed.
        for at, (top, area) in reversed(self._paths.items()):
            brush, pen = self._looks[at]
            painter.fillPath(area, brush)
            painter.strokePath(top, pen)


def _paths(x: Array, level: Array) -> tuple[QPainterPath, QPainterPath]:
    """The line along a level, and the area below it."""
    corners = _corners(level)
    top = pg.arrayToQPath(x[corners], level[corners])
    area = QPainterPath(top)
    area.lineTo(x[-1], 0)
    area.lineTo(x[0], 0)
    return top, area


def _corners(level: Array) -> npt.NDArray[np.bool_]:
    """Where it is not flat: what most kinds hold never changes, and each point costs when it is filled."""
    kept = np.ones(len(level), dtype=np.bool_)
    kept[1:-1] = (level[1:-1] != level[:-2]) | (level[1:-1] != level[2:])
    return kept
