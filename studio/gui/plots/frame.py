"""A plot dressed as a part of the page: its area, its axes, zoom and pan along x, and a cross-hair."""

from __future__ import annotations

import math
from pathlib import Path

import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QHideEvent, QImage, QMouseEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import QFrame, QWidget

from studio.gui.plots.axes import Axis
from studio.gui.plots.pens import pen
from studio.gui.plots.readout import Readout, ReadoutRow
from studio.gui.theme import font, theme, tokens
from studio.project.columns import Array


class _View(pg.ViewBox):
    """Drags and wheels move along x only; a double click shows the whole."""

    def __init__(self) -> None:
        super().__init__(enableMenu=False, defaultPadding=0)
        self.setMouseEnabled(x=True, y=False)
        self.disableAutoRange()

    def mouseDoubleClickEvent(self, event: object) -> None:
        self.sigRangeChangedManually.emit([False, False])


class PlotFrame(pg.PlotWidget):
    """Base of our plots.

    Signals:
        zoomed(): the person moved along x; `x_range` is theirs until `show_whole`.
        pointed(object): x under the cross-hair, None when it is nowhere.
        clicked(float): x where the person clicked.
    """

    zoomed = Signal()
    pointed = Signal(object)
    clicked = Signal(float)
    _is_built = False

    def __init__(self, bottom: Axis, left: Axis, *, name: str, parent: QWidget | None = None) -> None:
        self.view = _View()
        super().__init__(parent, background=None, viewBox=self.view, axisItems={"bottom": bottom, "left": left})
        self.bottom, self.left = bottom, left
        self.is_zoomed = False
        self._whole = (0.0, 1.0)
        self._pressed: QPointF | None = None
        self.setAccessibleName(name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAntialiasing(True)
        self.plotItem.hideButtons()
        self.plotItem.setMenuEnabled(False)
        self._put_grid_behind()
        self.plotItem.layout.setContentsMargins(0, 2, 1, 0)
        self.hair = pg.InfiniteLine(angle=90, movable=False)
        self.hair.setZValue(50)
        self.hair.hide()
        self.view.addItem(self.hair, ignoreBounds=True)
        self.readout = Readout(self)
        self.viewport().setMouseTracking(True)
        self._connect()
        self.dress()
        self._is_built = True

    def _connect(self) -> None:
        self.view.sigRangeChangedManually.connect(self._on_moved)
        theme().changed.connect(self.dress)

    def dress(self) -> None:
        """Take the theme's colours; subclasses dress their curves."""
        self.setBackground(tokens().surface)
        self.bottom.dress()
        self.left.dress()
        self.hair.setPen(pen(tokens().text3, 1, Qt.PenStyle.DashLine))

    # Range

    def set_whole(self, low: float, high: float) -> None:
        """How far the whole goes along x; shown at once unless the person looks at a part."""
        high = max(high, low + 1e-9)
        if (low, high) != self._whole:
            self._whole = (low, high)
            self.view.setLimits(xMin=low, xMax=high, minXRange=(high - low) * 1e-4)
        if not self.is_zoomed:
            self.view.setXRange(low, high, padding=0)

    def show_whole(self) -> None:
        """Back to everything."""
        self.is_zoomed = False
        self.view.setXRange(*self._whole, padding=0)
        self.zoomed.emit()

    def show_range(self, low: float, high: float) -> None:
        """Look at a part."""
        self.is_zoomed = True
        self.view.setXRange(low, high, padding=0)

    @property
    def x_range(self) -> tuple[float, float]:
        """What is shown along x."""
        low, high = self.view.viewRange()[0]
        return float(low), float(high)

    @property
    def num_columns(self) -> int:
        """Pixels across the curves."""
        return max(50, int(self.view.width()))

    def columns_of(self, x: Array) -> int:
        """Pixels across the curve of rising `x`: half of a run's curve lies on half of the pixels."""
        low, high = self.x_range
        share = (min(x[-1], high) - max(x[0], low)) / max(high - low, 1e-12) if len(x) else 0.0
        return math.ceil(self.num_columns * min(max(share, 0.0), 1.0)) or 1

    # Cross-hair

    def point(self, x: float, title: str, rows: list[ReadoutRow]) -> None:
        """Put the cross-hair at `x` and say what is there."""
        low, high = self.x_range
        if not low <= x <= high:
            self.unpoint()
            return
        self.hair.setValue(x)
        self.hair.show()
        # In a low plot it is taller than the curves: it floats over the page, not only over the plot.
        host = self.window()
        if self.readout.parentWidget() is not host:
            self.readout.setParent(host)
        area = QRectF(self.area().translated(QPointF(self.mapTo(host, QPoint(0, 0)))))
        if self.viewport().visibleRegion().boundingRect().height() < self.height() / 2:
            self.readout.hide()  # scrolled out of sight: it would stand over another plot
            return
        self.readout.show_at(area.left() + (x - low) / max(high - low, 1e-12) * area.width(), area, title, rows)

    def unpoint(self) -> None:
        """No cross-hair."""
        self.hair.hide()
        self.readout.hide()

    def area(self) -> QRectF:
        """Where the curves are, in this widget's pixels."""
        return QRectF(self.mapFromScene(self.view.sceneBoundingRect()).boundingRect())

    def x_at(self, position: QPointF) -> float | None:
        """x under a pixel of this widget, None beside the curves."""
        area = self.area()
        if not area.contains(position) or area.width() <= 0:
            return None
        low, high = self.x_range
        return low + (position.x() - area.left()) / area.width() * (high - low)

    # Pictures

    def save_png(self, target: Path) -> None:
        """Write the plot as it stands, at twice its size.

        Raises:
            OSError: it cannot be written.
        """
        self.unpoint()
        image = QImage(self.size() * 2, QImage.Format.Format_ARGB32)
        image.setDevicePixelRatio(2)
        image.fill(tokens().surface)
        painter = QPainter(image)
        self.render(painter)
        painter.end()
        if not image.save(str(target)):
            raise OSError(f"{target} cannot be written")

    # Qt

    def sizeHint(self) -> QSize:
        return QSize(self.minimumSize())  # what is more comes by stretching

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        self.pointed.emit(self.x_at(event.position()))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._pressed = event.position()
        super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        start, self._pressed = self._pressed, None
        x = self.x_at(event.position())
        if start is not None and x is not None and (event.position() - start).manhattanLength() < 4:
            self.clicked.emit(x)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.pointed.emit(None)

    def _put_grid_behind(self) -> None:
        for axis in (self.bottom, self.left):
            axis.setZValue(self.view.zValue() - 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._is_built:  # Qt resizes before our constructor is through
            self.unpoint()  # whoever points has to say anew where that is

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.unpoint()

    def _on_moved(self, axes: list[bool]) -> None:
        if not any(axes):
            self.show_whole()
            return
        low, high = self.x_range
        whole = self._whole
        self.is_zoomed = (high - low) < (whole[1] - whole[0]) * 0.999
        self.zoomed.emit()


def label(anchor: tuple[float, float], role: str = "small_strong") -> pg.TextItem:
    """Words inside a plot, at a point of it."""
    item = pg.TextItem("", anchor=anchor)
    item.setFont(font(role))
    return item
