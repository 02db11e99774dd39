"""A run in full: verdict, figures, loss above memory with one cross-hair, answers and lanes beside them."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from studio.gui import figures
from studio.gui.plots.plot_table import PlotTable
from studio.gui.theme import at_text_size, theme
from studio.gui.tokens import CARD_GAP
from studio.gui.train_page.figures_strip import FiguresStrip
from studio.gui.train_page.health_card import HealthCard
from studio.gui.train_page.lanes import LanesCard
from studio.gui.train_page.loss_card import LossCard
from studio.gui.train_page.memory_card import MemoryCard
from studio.gui.train_page.run_watch import RunWatch
from studio.gui.train_page.samples_card import SamplesCard
from studio.project.curve_rows import table_steps, value_at
from studio.project.curves import RunCurves

_SIDE, _WIDE_SIDE = 316, 400
_NARROW, _WIDE = 940, 1380
_LOW = 330  # two plots with their heads need as much
_LEAST_LOSS, _LEAST_MEMORY = 120, 96  # of a plot, at the usual size of text; the page scrolls


class LiveView(QWidget):
    """One run, as long as it has something to show."""

    def __init__(self, loss: LossCard, memory: MemoryCard, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curves = RunCurves()
        self._pointed: float | None = None
        self._side_wanted = self._is_calm = False
        self.health, self.figures = HealthCard(), FiguresStrip()
        self.loss, self.memory = loss, memory
        self.samples, self.lanes = SamplesCard(), LanesCard()
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(CARD_GAP - 2)
        outer.addWidget(self.health)
        outer.addWidget(self.figures)
        row = QHBoxLayout()
        row.setSpacing(CARD_GAP)
        left = QVBoxLayout()
        left.setSpacing(CARD_GAP)
        left.addWidget(self.loss, 29)
        left.addWidget(self.memory, 24)
        row.addLayout(left, 1)
        self.side = QWidget()
        column = QVBoxLayout(self.side)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(CARD_GAP)
        column.addWidget(self.samples, 1)
        column.addWidget(self.lanes)
        row.addWidget(self.side)
        outer.addLayout(row, 1)

    def _connect(self) -> None:
        theme().changed.connect(self._fit)
        self.loss.plot.pointed.connect(self.point_at_step)
        self.loss.plot.clicked.connect(lambda step: self.samples.show_step(max(0, round(step))))
        self.loss.plot.zoomed.connect(self._follow_loss)
        self.memory.plot.pointed.connect(lambda s: self.point_at_step(None if s is None else self._step_at(s)))
        self.memory.plot.zoomed.connect(self._follow_memory)
        for plot in (self.loss.plot, self.memory.plot):
            plot.view.sigResized.connect(self._point_again)

    @property
    def is_narrow(self) -> bool:
        """Whether the side has no room of its own."""
        return self.width() < at_text_size(_NARROW)

    def toggle_side(self) -> None:
        """Show or hide answers and lanes where they have no room of their own."""
        self._side_wanted = not self._side_wanted
        self._fit()

    def set_calm(self, is_calm: bool) -> None:
        """Leave verdict and figures out: something above says how it ended, and needs the room."""
        self._is_calm = is_calm
        self.health.setVisible(not is_calm)
        self.figures.setVisible(not is_calm)
        self._fit()

    def show_run(self, watch: RunWatch) -> None:
        """Show a run as it stands."""
        self._curves = watch.curves
        self.health.show_verdict(watch.verdict())
        self.health.show_progress(watch.curves, watch.facts.spec)
        self.figures.show_run(watch)
        self.loss.show_run(watch.run, watch.curves)
        self.memory.show_run(watch)
        self._follow_loss()
        self.samples.show_curves(watch.curves)
        self.lanes.show_curves(watch.curves)
        if self._pointed is not None:
            self.point_at_step(self._pointed)

    # Cross-hair

    def point_at_step(self, step: float | None) -> None:
        """Put both cross-hairs at a step; None takes them away."""
        self._pointed = step
        if step is None:
            self.loss.plot.unpoint()
            self.memory.plot.unpoint()
            return
        self.loss.plot.point_at(step)
        self.memory.plot.point_at(self._seconds_at(step))

    def move_hair(self, direction: int) -> None:
        """One step, or what lies between two pixels, to the left or right."""
        low, high = self.loss.plot.x_range
        stride = max(1.0, (high - low) / self.loss.plot.num_columns * 2)
        start = self._pointed if self._pointed is not None else float(self._curves.step)
        self.point_at_step(float(np.clip(start + direction * stride, 0, max(1, self._curves.step))))

    def point_at_best(self) -> None:
        """To the best held-out loss, and its answers."""
        if (best := self._curves.best) is not None:
            self.point_at_step(best[0])
            self.samples.show_step(best[0])

    def open_table(self) -> None:
        """The curves as a table."""
        curves, smoothed = self._curves, self._curves.smoothed()
        steps = curves.steps
        names = ("loss", "learning_rate", "grad_norm")
        rows = []
        for step in table_steps(curves):
            loss, rate, norm = (value_at(steps["step"], steps[name], step) for name in names)
            smooth = value_at(steps["step"], smoothed, step)
            held = curves.eval_at(step)
            rows.append(
                (figures.count(step), *(_known(value) for value in (loss, smooth, held)), _rate(rate), _known(norm))
            )
        header = ("Step", "Loss", "Smoothed", "Held-out", "Learning rate", "Gradient norm")
        table = PlotTable("The curves as a table", header, rows, self)
        table.finished.connect(table.deleteLater)
        table.open()

    # Qt

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        direction = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if direction is None:
            super().keyPressEvent(event)
        else:
            self.move_hair(direction)

    # Inside

    def _fit(self) -> None:
        for plot, height in ((self.loss.plot, _LEAST_LOSS), (self.memory.plot, _LEAST_MEMORY)):
            plot.setMinimumHeight(round(height * max(1.0, theme().scale)))
        self.memory.setVisible(not self._is_calm or self.height() >= _LOW)
        self.side.setVisible(not self.is_narrow or self._side_wanted)
        self.side.setFixedWidth(at_text_size(_WIDE_SIDE if self.width() >= at_text_size(_WIDE) else _SIDE))

    def _point_again(self, *_: object) -> None:
        """A plot of another size has the same step elsewhere."""
        if self._pointed is not None:
            QTimer.singleShot(0, self, lambda: self.point_at_step(self._pointed))

    def _seconds_at(self, step: float) -> float:
        """Seconds of training at a step, beyond what is known by the pace of the whole."""
        steps, active = self._curves.steps["step"], self._curves.steps["active"]
        if not len(steps):
            return 0.0
        known = np.interp(step, np.concatenate([[0.0], steps]), np.concatenate([[0.0], active]))
        beyond = max(0.0, step - steps[-1])
        return float(known + beyond * self._seconds_a_step())

    def _step_at(self, seconds: float) -> float:
        steps, active = self._curves.steps["step"], self._curves.steps["active"]
        if not len(steps):
            return 0.0
        known = np.interp(seconds, np.concatenate([[0.0], active]), np.concatenate([[0.0], steps]))
        beyond = max(0.0, seconds - active[-1])
        return float(known + beyond / max(self._seconds_a_step(), 1e-9))

    def _seconds_a_step(self) -> float:
        left = self._curves.total - self._curves.step
        seconds = self._curves.pace.seconds_left
        return seconds / left if seconds and left > 0 else 1.0

    def _follow_loss(self) -> None:
        """Both plots show the same part of the run."""
        if self.loss.plot.is_zoomed:
            low, high = self.loss.plot.x_range
            self.memory.plot.show_range(self._seconds_at(low), self._seconds_at(high))
        elif self.memory.plot.is_zoomed:
            self.memory.plot.is_zoomed = False
            self.memory.plot.show_whole()

    def _follow_memory(self) -> None:
        if self.memory.plot.is_zoomed:
            low, high = self.memory.plot.x_range
            self.loss.plot.show_range(self._step_at(low), self._step_at(high))
        elif self.loss.plot.is_zoomed:
            self.loss.plot.show_whole()


def _known(value: float | None) -> str:
    return "" if value is None else figures.loss(value)


def _rate(value: float | None) -> str:
    return "" if value is None else figures.rate(value)
