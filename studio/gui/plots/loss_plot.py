"""The loss: each step, smoothed, held out with its best, and what is still to come."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QBrush, QPen
from PySide6.QtWidgets import QWidget

from studio.gui import figures
from studio.gui.plots.axes import LossAxis, StepAxis
from studio.gui.plots.frame import PlotFrame, label
from studio.gui.plots.pens import pen
from studio.gui.plots.readout import ReadoutRow
from studio.gui.theme import font, tokens
from studio.gui.tokens import faded
from studio.project.columns import Array
from studio.project.curve_reduce import envelope, visible
from studio.project.curves import RunCurves

_NOTHING = np.empty(0)
_EDGE = 0.008


class LossPlot(PlotFrame):
    """Loss over steps."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self._axis = LossAxis("left")
        self._curves = RunCurves()
        self._is_drawing = False
        self._to_come = pg.QtWidgets.QGraphicsRectItem()
        self._now = pg.InfiniteLine(angle=90, movable=False)
        self._raw, self._smooth = pg.PlotCurveItem(), pg.PlotCurveItem()
        self._held = pg.PlotDataItem(symbol="o", symbolSize=8, pxMode=True)
        self._best = pg.ScatterPlotItem(symbol="star", size=15, pxMode=True)
        self._best_words, self._left_words = label((1, 1)), label((0.5, 0), "small")
        super().__init__(StepAxis("bottom"), self._axis, name="Loss over steps", parent=parent)
        for z, item in enumerate(
            (
                self._to_come,
                self._now,
                self._raw,
                self._smooth,
                self._held,
                self._best,
                self._best_words,
                self._left_words,
            )
        ):
            item.setZValue(z)
            self.view.addItem(item, ignoreBounds=True)
        self.view.sigRangeChanged.connect(self._on_range_changed)
        self.view.sigResized.connect(self._on_range_changed)

    @property
    def is_log(self) -> bool:
        """Whether the loss is drawn by its logarithm."""
        return self._axis.is_log

    def set_log(self, is_log: bool) -> None:
        """Linear or logarithmic."""
        self._axis.is_log = is_log
        self.redraw()

    def dress(self) -> None:
        super().dress()
        t = tokens()
        self._raw.setPen(pen(faded(t.text3, 0.45 if t.is_dark else 0.5)))
        self._smooth.setPen(pen(t.accent, 2))
        self._held.setPen(pen(t.held_out, 1.4, Qt.PenStyle.DashLine))
        self._held.setSymbolBrush(t.surface)
        self._held.setSymbolPen(pen(t.held_out, 1.6))
        self._best.setBrush(t.held_out)
        self._best.setPen(pen(t.surface, 1))
        self._to_come.setPen(QPen(Qt.PenStyle.NoPen))
        self._to_come.setBrush(QBrush(faded(t.text3, 0.06)))
        self._now.setPen(pen(t.strong))
        for words, tone in ((self._best_words, t.text), (self._left_words, t.text2)):
            words.setColor(tone)
        self._best_words.setFont(font("small_strong"))
        self._left_words.setFont(font("small"))
        self._best_words.fill = pg.mkBrush(faded(t.surface, 0.78))

    def show_curves(self, curves: RunCurves) -> None:
        """Draw a run as it stands."""
        self._curves = curves
        whole = max(curves.total, curves.step, 1)
        self._is_drawing = True
        self.set_whole(-_EDGE * whole, (1 + _EDGE) * whole)  # rings at both ends are seen whole
        self.redraw()

    def redraw(self) -> None:
        """Draw what is in sight, reduced to its pixels."""
        self._is_drawing = True  # it sets the y range, which says that the range has changed
        try:
            self._draw()
        finally:
            self._is_drawing = False

    def _draw(self) -> None:
        curves, part = self._curves, self._part()
        steps, losses = curves.steps["step"][part], curves.steps["loss"][part]
        columns = self.columns_of(steps)
        raw = envelope(steps, self._scaled(losses), columns)
        smooth = envelope(steps, self._scaled(curves.smoothed()[part]), columns)
        held = curves.evals["step"], self._scaled(curves.evals["loss"])
        known = np.isfinite(held[1])
        # Where lines stand side by side nobody sees the difference, and it takes half the time.
        self._raw.setData(*raw, antialias=len(raw[0]) < columns)
        self._smooth.setData(*smooth)
        self._held.setData(held[0][known], held[1][known])
        self._set_y_range(raw[1], smooth[1], self._held_in_sight(held))
        self._mark_best()
        self._mark_rest()

    def point_at(self, step: float) -> None:
        """Cross-hair at the nearest step."""
        curves = self._curves
        if not len(curves.steps):
            self.unpoint()
            return
        steps = curves.steps["step"]
        at = int(np.clip(np.searchsorted(steps, round(step)), 0, len(steps) - 1))
        self.point(float(steps[at]), f"Step {int(steps[at]):,}", self._rows(at))

    def point(self, x: float, title: str, rows: list[ReadoutRow]) -> None:
        super().point(x, title, rows)
        self._show_best_words()

    def unpoint(self) -> None:
        super().unpoint()
        self._show_best_words()

    # Inside

    def _show_best_words(self) -> None:
        """Not beside the cross-hair's figures: they would lie over each other."""
        self._best_words.setVisible(self._curves.best is not None and not self.hair.isVisible())

    def _rows(self, at: int) -> list[ReadoutRow]:
        curves, t = self._curves, tokens()
        step = curves.steps["step"][at]
        rows = [
            ReadoutRow("each step", figures.loss(float(curves.steps["loss"][at])), t.text3),
            ReadoutRow("smoothed", figures.loss(float(curves.smoothed()[at])), t.accent),
        ]
        before = np.flatnonzero((curves.evals["step"] <= step) & np.isfinite(curves.evals["loss"]))
        if len(before):
            value, when = curves.evals["loss"][before[-1]], int(curves.evals["step"][before[-1]])
            rows.append(ReadoutRow(f"held out, step {when:,}", figures.loss(float(value)), t.held_out))
        rows.append(
            ReadoutRow("learning rate", figures.rate(float(curves.steps["learning_rate"][at])), t.kinds["optimizer"])
        )
        rows.append(ReadoutRow("gradient norm", f"{curves.steps['grad_norm'][at]:.3g}", t.kinds["gradients"]))
        return rows

    def _part(self) -> slice:
        return visible(self._curves.steps["step"], *self.x_range)

    def _scaled(self, losses: Array) -> Array:
        if not self.is_log:
            return losses
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(losses > 0, np.log10(losses), np.nan)

    def _held_in_sight(self, held: tuple[Array, Array]) -> Array:
        low, high = self.x_range
        return held[1][(held[0] >= low) & (held[0] <= high) & np.isfinite(held[1])]

    def _set_y_range(self, raw: Array, *others: Array) -> None:
        """All of the smooth curves, and of the single steps what is not an outlier."""
        ends = np.concatenate([np.quantile(raw, (0.01, 0.99)) if len(raw) else _NOTHING, *others])
        known = ends[np.isfinite(ends)]
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        pad = max((high - low) * 0.06, 1e-4)
        self.view.setYRange(low - pad if self.is_log else max(0.0, low - pad), high + pad, padding=0)

    def _mark_best(self) -> None:
        best = self._curves.best
        self._best.setVisible(best is not None)
        self._show_best_words()
        if best is None:
            return
        step, value = best
        y = float(self._scaled(np.array([value]))[0])
        self._best.setData([step], [y])
        so_far = "Best so far" if self._curves.end is None else "Best"
        self._best_words.setText(f"{so_far}: step {step:,}, {figures.loss(value)}")
        low, high = self.x_range
        share = (step - low) / max(high - low, 1e-9)
        is_left = share > 0.45
        self._best_words.setAnchor((1 if is_left else 0, 1.1))
        self._best_words.setPos(step, self._clear_height(step, y, is_left=is_left))

    def _clear_height(self, step: int, y: float, *, is_left: bool) -> float:
        """Above the curves along the words' width, so that they cover nothing."""
        low, high = self.x_range
        width = self._best_words.boundingRect().width() / self.num_columns * (high - low)
        first, last = (step - width, step) if is_left else (step, step + width)
        tops = [y]
        for steps, values in ((self._curves.steps["step"], self._curves.smoothed()), self._held_curve()):
            near = values[visible(steps, first, last)]
            near = near[np.isfinite(near)]
            tops += [float(self._scaled(near).max())] if len(near) else []
        bottom, top = self.view.viewRange()[1]
        return float(min(max(tops) + (top - bottom) * 0.03, top - (top - bottom) * 0.09))

    def _held_curve(self) -> tuple[Array, Array]:
        return self._curves.evals["step"], self._curves.evals["loss"]

    def _mark_rest(self) -> None:
        """Shade the steps to come, so that progress is seen in the curve itself."""
        step, total = self._curves.step, self._curves.total
        is_open = step < total and self._curves.end is None
        for item in (self._to_come, self._now, self._left_words):
            item.setVisible(is_open)
        if not is_open:
            return
        bottom, top = self.view.viewRange()[1]
        self._to_come.setRect(QRectF(step, bottom, total - step, top - bottom))
        self._now.setValue(step)
        low, high = self.x_range
        begin, end = max(step, low), min(total, high)
        self._left_words.setVisible(end - begin > 0.22 * (high - low))
        self._left_words.setText(f"{total - step:,} steps to go")
        self._left_words.setPos((begin + end) / 2, top)

    def _on_range_changed(self, *_: object) -> None:
        if not self._is_drawing and len(self._curves.steps):
            self.redraw()
