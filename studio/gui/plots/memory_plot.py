"""Memory over time, stacked by kind, against the predicted peak and what there is."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QBrush, QFontMetricsF, QPen
from PySide6.QtWidgets import QWidget

from studio.gui import figures
from studio.gui.plots.axes import GigabyteAxis, TimeAxis
from studio.gui.plots.frame import PlotFrame, label
from studio.gui.plots.pens import pen
from studio.gui.plots.readout import ReadoutRow
from studio.gui.plots.stack import Stack
from studio.gui.theme import font, tokens
from studio.project.curve_reduce import peaks, visible
from studio.project.curves import KINDS, RunCurves

_EDGE = 0.008  # as the loss plot, so that both begin and end together
_SLACK = 1.04
_FAR = 4.0  # a limit this many times the peak would flatten the curve; it is then named at the top edge


class MemoryPlot(PlotFrame):
    """Memory over seconds of training."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self._curves = RunCurves()
        self._place = "ram"
        self._is_drawing = False
        self._seconds = 0.0
        self._predicted = self._limit = 0.0
        self._limit_name = ""
        self._stack = Stack()
        self._predicted_line = pg.InfiniteLine(angle=0, movable=False)
        self._limit_line = pg.InfiniteLine(angle=0, movable=False)
        self._predicted_words, self._limit_words = label((1, 1.05)), label((1, -0.05))
        super().__init__(TimeAxis("bottom"), GigabyteAxis("left"), name="Memory over time", parent=parent)
        words = self._predicted_words, self._limit_words
        for z, item in enumerate((self._stack, self._predicted_line, self._limit_line, *words)):
            item.setZValue(z)
            self.view.addItem(item, ignoreBounds=True)
        self.view.sigRangeChanged.connect(self._on_range_changed)
        self.view.sigResized.connect(self._on_range_changed)

    def dress(self) -> None:
        super().dress()
        t = tokens()
        # On a light ground pale fills are parted by a line; on a dark one it would eat thin bands.
        # It would also eat what lies on the ragged band of activations.
        bare = [kind for kind in KINDS if t.is_dark or kind == "activations"]
        parting, none = pen(t.surface), QPen(Qt.PenStyle.NoPen)
        self._stack.set_looks([(QBrush(t.kinds[kind]), none if kind in bare else parting) for kind in KINDS])
        self._predicted_line.setPen(pen(t.text2, 1.3, Qt.PenStyle.DashLine))
        self._limit_line.setPen(pen(t.danger, 1.3))
        self._predicted_words.setColor(t.text)
        self._limit_words.setColor(t.danger)
        for words in (self._predicted_words, self._limit_words):
            words.setFont(font("small_strong"))

    def set_limits(self, *, predicted: float, limit: float, limit_name: str) -> None:
        """Where the lines stand, in bytes; 0 for none."""
        self._predicted, self._limit, self._limit_name = predicted, limit, limit_name

    def show_curves(self, curves: RunCurves, whole_seconds: float) -> None:
        """Draw a run as it stands; `whole_seconds` is how long it will take in all."""
        self._curves, self._place = curves, "gpu" if curves.has_gpu else "ram"
        needed = max(whole_seconds, curves.active_seconds, 1.0)
        if not needed <= self._seconds <= _SLACK * needed or curves.end is not None:
            self._seconds = needed  # the guess at the end changes with every step; the axis need not
        self._is_drawing = True
        self.set_whole(-_EDGE * self._seconds, (1 + _EDGE) * self._seconds)
        self.redraw()

    def redraw(self) -> None:
        """Draw what is in sight, reduced to its pixels."""
        self._is_drawing = True  # it sets the y range, which says that the range has changed
        try:
            self._draw()
        finally:
            self._is_drawing = False

    def _draw(self) -> None:
        memory = self._curves.memory
        part = visible(memory["active"], *self.x_range)
        x = memory["active"][part]
        picked = peaks(x, memory[f"{self._place}_all"][part], self.columns_of(x))
        self._stack.set_sizes(x[picked], self._curves.stack(self._place, part, picked))
        self._set_y_range(float(self._curves.peak_bytes(self._place)))

    def kinds_in_use(self) -> list[str]:
        """Kinds that ever held anything, from the top of the stack to its bottom."""
        return self._curves.kinds_in_use(self._place)[::-1]

    def point_at(self, seconds: float) -> None:
        """Cross-hair at the sample before `seconds`."""
        active = self._curves.memory["active"]
        if not len(active):
            self.unpoint()
            return
        at = int(np.clip(np.searchsorted(active, seconds, side="right") - 1, 0, len(active) - 1))
        stack = self._curves.stack(self._place, slice(at, at + 1))[:, 0]
        rows = [
            ReadoutRow(kind, figures.gigabytes(size), tokens().kinds[kind], is_area=True)
            for kind, size in reversed(list(zip(KINDS, stack, strict=True)))
            if size
        ]
        self.point(seconds, f"{figures.gigabytes(stack.sum())} in use", rows)

    def _set_y_range(self, peak: float) -> None:
        most = max(peak, self._predicted)
        is_far = self._limit > _FAR * most > 0
        top = 1.25 * most if is_far or not self._limit else max(most, self._limit) * 1.1
        top = max(top, self._predicted / (1 - self._share_of_words()))
        self.view.setYRange(0, top or 1e9, padding=0)
        right = self.x_range[1]
        self._place_line(self._limit_line, self._limit_words, 0.0 if is_far else self._limit, right)
        self._limit_words.setAnchor((1, -0.05))
        self._limit_words.setText(f"{self._limit_name} {figures.gigabytes(self._limit)}" if self._limit else "")
        if is_far:
            self._limit_words.setText(f"{self._limit_name} {figures.gigabytes(self._limit)} ↑")
            self._limit_words.setVisible(True)
            self._limit_words.setAnchor((0, -0.05))
            self._limit_words.setPos(self.x_range[0], top)
        self._place_line(self._predicted_line, self._predicted_words, self._predicted, right)
        self._predicted_words.setText(f"Predicted peak {figures.gigabytes(self._predicted)}")
        self._limit_words.setColor(tokens().text3 if is_far else tokens().danger)

    def _share_of_words(self) -> float:
        """Of the plot's height, what a line of words takes."""
        words = 1.1 * QFontMetricsF(font("small_strong")).height() + 4
        return min(0.5, words / max(self.area().height(), 1.0))

    def _place_line(self, line: pg.InfiniteLine, words: pg.TextItem, value: float, right: float) -> None:
        for item in (line, words):
            item.setVisible(value > 0)
        line.setValue(value)
        words.setPos(right, value)

    def _on_range_changed(self, *_: object) -> None:
        if not self._is_drawing and (len(self._curves.memory) or self._predicted):  # words need their room as well
            self.redraw()
