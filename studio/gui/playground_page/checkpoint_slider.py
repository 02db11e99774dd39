"""The slider over a run's checkpoints: one dot each, the best one marked."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QSlider, QWidget

from studio.gui.controls.bars import track_colour
from studio.gui.controls.painting import KeyboardFocus, antialiased, edge_box, fill_box
from studio.gui.sources import Stop
from studio.gui.theme import tokens

_MARGIN = 9


class CheckpointSlider(KeyboardFocus, QSlider):
    """Chooses among moments of a run.

    Signals:
        settled(int): another moment was chosen, and the knob let go.
    """

    settled = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._stops: Sequence[Stop] = ()
        self._settled = -1
        self.setAccessibleName("Checkpoint")
        self.setTracking(True)
        self.setPageStep(1)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.valueChanged.connect(self._on_value)
        self.sliderReleased.connect(self._settle)

    def set_stops(self, stops: Sequence[Stop], at: int) -> None:
        """Show these moments, silently, with the knob at one of them."""
        self.blockSignals(True)
        self._stops, self._settled = stops, at
        self.setRange(0, max(0, len(stops) - 1))
        self.setValue(at)
        self.blockSignals(False)
        self.setEnabled(len(stops) > 1)
        self._describe()
        self.update()

    def move_by(self, steps: int) -> None:
        """To an earlier or later moment."""
        self.setValue(self.value() + steps)

    def sizeHint(self) -> QSize:
        return QSize(120, 24)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.setSliderDown(True)
        self.setValue(self._nearest(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self.isSliderDown():
            self.setValue(self._nearest(event.position().x()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self.setSliderDown(False)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        middle = self.height() / 2
        fill_box(painter, QRectF(_MARGIN, middle - 2, self.width() - 2 * _MARGIN, 4), 2, track_colour())
        knob = self._x(self.value())
        fill_box(painter, QRectF(_MARGIN, middle - 2, max(0.0, knob - _MARGIN), 4), 2, t.accent)
        for at, stop in enumerate(self._stops):
            radius = 4.5 if stop.is_best else 3.0
            colour = t.accent if at <= self.value() else t.strong
            fill_box(painter, QRectF(self._x(at) - radius, middle - radius, 2 * radius, 2 * radius), radius, colour)
        painter.setBrush(t.text if t.is_dark else t.surface)
        painter.setPen(QPen(t.accent, 2))
        painter.drawEllipse(QPointF(knob, middle), 7, 7)
        if self.shows_focus:
            edge_box(painter, QRectF(self.rect()), 8, t.accent, 2)

    def _x(self, at: int) -> float:
        room = self.width() - 2 * _MARGIN
        return _MARGIN + room * (at / self.maximum() if self.maximum() else 1.0)

    def _nearest(self, x: float) -> int:
        room = max(1, self.width() - 2 * _MARGIN)
        return round(min(1.0, max(0.0, (x - _MARGIN) / room)) * self.maximum())

    def _on_value(self) -> None:
        self._describe()
        if not self.isSliderDown():
            self._settle()

    def _settle(self) -> None:
        if self.value() != self._settled:
            self._settled = self.value()
            self.settled.emit(self.value())

    def _describe(self) -> None:
        if self._stops:
            stop = self._stops[self.value()]
            self.setAccessibleDescription(f"{stop.title}{', best' if stop.is_best else ''}")
            self.setToolTip("\n".join(f"{each.title}{' (best)' if each.is_best else ''}" for each in self._stops))
