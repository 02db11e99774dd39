"""Several runs laid over each other, each with its own colour and line style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPen
from PySide6.QtWidgets import QWidget

from studio.gui import figures
from studio.gui.plots.axes import Axis, CountAxis, LossAxis, StepAxis, TimeAxis
from studio.gui.plots.frame import PlotFrame
from studio.gui.plots.pens import pen
from studio.gui.plots.readout import ReadoutRow
from studio.gui.theme import tokens
from studio.project.columns import Array
from studio.project.run_digest import Curve

Measure = Literal["step", "seconds", "tokens"]
_AXES: dict[str, type[Axis]] = {"step": StepAxis, "seconds": TimeAxis, "tokens": CountAxis}
# Solid, dash, dot, dash-dot, long dash: told apart without colour.
STYLES: tuple[tuple[float, ...], ...] = ((), (5, 3), (1.5, 2.5), (6, 2.5, 1.5, 2.5), (10, 4))
_MARKED = 60  # with more points than this the rings would run together


@dataclass(frozen=True)
class Line:
    """A run's curve: its name, and which of the overlay colours it has (beyond the fifth: grey)."""

    name: str
    slot: int
    curve: Curve


def line_pen(slot: int, *, width: float = 2.0) -> QPen:
    """The pen of a slot."""
    made = pen(line_colour(slot), width)
    if pattern := STYLES[slot % len(STYLES)]:
        made.setDashPattern(pattern)
    made.setCapStyle(Qt.PenCapStyle.FlatCap)
    return made


def line_colour(slot: int) -> QColor:
    """The colour of a slot."""
    t = tokens()
    return t.overlay[slot] if slot < len(t.overlay) else t.text3


class OverlayPlot(PlotFrame):
    """Loss of runs, by step, time or tokens."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self.lines: list[Line] = []
        self._items: list[pg.PlotDataItem] = []
        self.measure: Measure = "step"
        super().__init__(StepAxis("bottom"), LossAxis("left"), name="Loss of the ticked runs", parent=parent)

    def dress(self) -> None:
        super().dress()
        for line, item in zip(self.lines, self._items, strict=True):
            _dress(item, line)

    def set_measure(self, measure: Measure) -> None:
        """What goes along the x axis."""
        self.measure = measure
        self.bottom = _AXES[measure]("bottom")
        self.plotItem.setAxisItems({"bottom": self.bottom})
        self._put_grid_behind()
        self.is_zoomed = False
        self.show_lines(self.lines)

    def show_lines(self, lines: Sequence[Line]) -> None:
        """Draw these runs, the first on top."""
        for item in self._items:
            self.view.removeItem(item)
        self.lines = list(lines)
        self._items = [self._item(line, z) for z, line in enumerate(reversed(self.lines))][::-1]
        ends = [float(self._x(line)[-1]) for line in self.lines if len(self._x(line))]
        self.set_whole(0, max([*ends, 1e-9]) * 1.02)
        self._set_y_range()

    def point_at(self, x: float) -> None:
        """Cross-hair at `x`: each run's loss there, or the last before it."""
        rows = []
        for line in self.lines:
            at = int(np.searchsorted(self._x(line), x, side="right")) - 1
            if at >= 0:
                rows.append(ReadoutRow(line.name, figures.loss(float(line.curve.loss[at])), line_colour(line.slot)))
        if rows:
            self.point(x, self._where(x), rows)
        else:
            self.unpoint()

    def _where(self, x: float) -> str:
        if self.measure == "seconds":
            return figures.duration(x)
        return f"Step {x:,.0f}" if self.measure == "step" else f"{figures.short_count(x)} tokens"

    def _x(self, line: Line) -> Array:
        x: Array = getattr(line.curve, self.measure)
        return x

    def _item(self, line: Line, z: int) -> pg.PlotDataItem:
        item = pg.PlotDataItem(self._x(line), line.curve.loss)
        _dress(item, line)
        item.setZValue(z)
        self.view.addItem(item, ignoreBounds=True)
        return item

    def _set_y_range(self) -> None:
        losses = [line.curve.loss[np.isfinite(line.curve.loss)] for line in self.lines]
        known = np.concatenate([*losses, np.empty(0)])
        if not len(known):
            return
        low, high = float(known.min()), float(np.quantile(known, 0.995))
        pad = max((high - low) * 0.08, 1e-4)
        self.view.setYRange(max(0.0, low - pad), high + pad, padding=0)


def _dress(item: pg.PlotDataItem, line: Line) -> None:
    item.setPen(line_pen(line.slot))
    if 0 < len(line.curve.loss) <= _MARKED:
        item.setSymbol("o")
        item.setSymbolSize(6)
        item.setSymbolBrush(tokens().surface)
        item.setSymbolPen(pen(line_colour(line.slot), 1.4))
