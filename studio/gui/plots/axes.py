"""Axes that write as the rest of the window does, with faint grid lines only where their figures stand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pyqtgraph as pg
from PySide6.QtGui import QFontMetricsF

from studio.gui.figures import loss
from studio.gui.plots.pens import pen
from studio.gui.theme import font, tokens

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_TIMES = (
    1, 2, 5, 10, 15, 30, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE, _HOUR, 2 * _HOUR,
    3 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY, 2 * _DAY, 7 * _DAY,
)  # fmt: skip
_LEFT_WIDTH = 38
_BOTTOM_HEIGHT = 24
_NICE = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)


class Axis(pg.AxisItem):
    """Base: no line, no tick marks, small figures in the third ink. `room` is pixels a figure needs."""

    room = 70

    def __init__(self, orientation: str) -> None:
        super().__init__(orientation)
        self.setStyle(tickLength=0, tickAlpha=255, maxTickLevel=0, hideOverlappingLabels=False, tickTextOffset=6)
        if orientation == "left":
            self.setWidth(_LEFT_WIDTH)
            self.setGrid(255)
            self.room = 28
        else:
            self.setHeight(_BOTTOM_HEIGHT)
        self.dress()

    def dress(self) -> None:
        """Take the theme's ink."""
        self.setStyle(tickFont=font("caption"))
        self.setPen(pen(tokens().grid))
        self.setTextPen(pen(tokens().text3))
        self.setTickPen(pen(tokens().grid))

    def tickValues(self, low: float, high: float, size: float) -> list[tuple[float, list[float]]]:
        most = max(1.0, size / self.room)
        step = self.step((high - low) / most) if high > low else 1.0
        first = math.ceil(low / step - 1e-9)
        last = math.floor(high / step + 1e-9)
        values = [at * step for at in range(first, min(last, first + 100) + 1)]
        # A figure at the very edge would be cut in half.
        if values and self.orientation == "bottom":
            room = (high - values[-1]) / (high - low) * size if high > low else 0.0
            if room < self._half(values[-1], step):
                values.pop()
        return [(step, values)]

    def _half(self, value: float, spacing: float) -> float:
        """Pixels of half a figure."""
        return QFontMetricsF(font("caption")).horizontalAdvance(self.words(value, spacing)) / 2

    def step(self, least: float) -> float:
        """The next round distance between figures that is no less than `least`."""
        power: float = 10 ** math.floor(math.log10(max(least, 1e-12)))
        return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= least * 0.999)

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:
        return [self.words(value, spacing) for value in values]

    def words(self, value: float, spacing: float) -> str:
        """A figure."""
        digits = next(
            digits for digits in range(12) if abs(spacing * 10**digits % 1 - round(spacing * 10**digits % 1)) < 1e-6
        )
        return f"{value:,.{digits}f}".replace("-", "−")


class StepAxis(Axis):
    """Optimizer steps: whole numbers only."""

    def step(self, least: float) -> float:
        return max(1.0, round(super().step(least)) if least > 1 else 1.0)


class CountAxis(Axis):
    """Large counts: 500 k, 1.5 M."""

    def words(self, value: float, spacing: float) -> str:
        for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
            if abs(value) >= limit:
                return f"{value / limit:.4g} {unit}"
        return f"{value:.0f}"


class TimeAxis(Axis):
    """Seconds of training, in the units in which people think of them."""

    def step(self, least: float) -> float:
        return next((float(time) for time in _TIMES if time >= least), _DAY * math.ceil(least / _DAY))

    def words(self, value: float, spacing: float) -> str:
        if spacing >= _DAY:
            return f"{value / _DAY:.0f} d"
        if value >= _HOUR and spacing >= _MINUTE:
            hours, rest = divmod(round(value), _HOUR)
            return f"{hours} h {rest // _MINUTE:02d}" if rest else f"{hours} h"
        if spacing >= _MINUTE:
            return f"{value / _MINUTE:.0f} min"
        minutes, seconds = divmod(round(value), _MINUTE)
        return f"{minutes}:{seconds:02d} min" if minutes else f"{seconds} s"


class GigabyteAxis(Axis):
    """Bytes as decimal gigabytes."""

    def tickValues(self, low: float, high: float, size: float) -> list[tuple[float, list[float]]]:
        return [
            (spacing * 1e9, [value * 1e9 for value in values])
            for spacing, values in super().tickValues(low / 1e9, high / 1e9, size)
        ]

    def words(self, value: float, spacing: float) -> str:
        return super().words(value / 1e9, spacing / 1e9)


class LossAxis(Axis):
    """A loss; with `is_log` the plot holds its decimal logarithm, and the figures are still losses."""

    is_log = False

    def tickValues(self, low: float, high: float, size: float) -> list[tuple[float, list[float]]]:
        if not self.is_log:
            return super().tickValues(low, high, size)
        first, last, decades = 10**low, 10**high, high - low
        if decades < 0.5:
            ((spacing, values),) = super().tickValues(first, last, size)
            return [(spacing, [math.log10(value) for value in values if value > 0])]
        factors = _NICE if decades < 1.6 else (1.0, 2.0, 5.0) if decades < 3 else (1.0,)
        values = [factor * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for factor in factors]
        return [(1.0, [math.log10(value) for value in values if first <= value <= last])]

    def words(self, value: float, spacing: float) -> str:
        if not self.is_log:
            return super().words(value, spacing)
        return f"{10**value:.3g}" if 10**value < 0.001 else loss(10**value).rstrip("0").rstrip(".")
