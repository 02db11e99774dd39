"""Bars and sparks: an amount beside its limit, and a curve in a line of text."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QPainterPath, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from studio.gui.controls.painting import antialiased, fill_box
from studio.gui.theme import tokens
from studio.gui.tokens import faded, mixed
from studio.sizes import human_share


class Progress(QWidget):
    """A thin bar. With no share known it shows an empty track: nothing is made up."""

    def __init__(
        self, *, name: str = "", tone: str = "accent", thickness: int = 5, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._share: float | None = None
        self._name, self._tone, self._thickness = name, tone, thickness
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_share(None)

    def set_share(self, share: float | None) -> None:
        """How far, 0 to 1; None when it is not known."""
        self._share = None if share is None else min(1.0, max(0.0, share))
        figure = "not known yet" if self._share is None else human_share(self._share, 0)
        self.setAccessibleName(f"{self._name}: {figure}".lstrip(": "))
        self.update()

    def set_tone(self, tone: str) -> None:
        """The colour of the part that is done, by its token."""
        self._tone = tone
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(80, self._thickness + 2)

    minimumSizeHint = sizeHint

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = antialiased(self)
        track = QRectF(0, (self.height() - self._thickness) / 2, self.width(), self._thickness)
        radius = self._thickness / 2
        fill_box(painter, track, radius, track_colour())
        if self._share:
            done = QRectF(track)
            done.setWidth(max(self._thickness, track.width() * self._share))
            fill_box(painter, done, radius, getattr(tokens(), self._tone))


def track_colour(ground: QColor | None = None) -> QColor:
    """What a bar runs in, on a card or another ground."""
    t = tokens()
    return mixed(ground or t.surface, t.text, 0.10 if t.is_dark else 0.08)


class MemoryBar(QWidget):
    """Parts of memory on one scale, with the limit as a mark; what goes beyond it is hatched."""

    def __init__(self, *, name: str = "", thickness: int = 9, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name, self._thickness = name, thickness
        self._parts: list[tuple[str, float]] = []
        self._limit, self._scale = 0.0, 1.0
        self._dimmed = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_parts(self, parts: Sequence[tuple[str, float]], limit_bytes: float, scale_bytes: float = 0) -> None:
        """What to show.

        Args:
            parts: (kind, bytes) from left to right; a kind of "plain" is drawn grey.
            limit_bytes: where the mark stands; 0 for none.
            scale_bytes: the whole width; the larger of sum and limit with a little room when 0.
        """
        self._parts = [(kind, float(size)) for kind, size in parts if size > 0]
        self._limit = float(limit_bytes)
        total = sum(size for _, size in self._parts)
        self._scale = float(scale_bytes) or max(total, self._limit) * 1.04 or 1.0
        self._dimmed = False
        self.setAccessibleDescription(self._described(total))
        self.update()

    def set_dimmed(self, dimmed: bool) -> None:
        """Show that the figures are being worked out anew."""
        self._dimmed = dimmed
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(120, self._thickness + 6)

    minimumSizeHint = sizeHint

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        painter.setOpacity(0.45 if self._dimmed else 1.0)
        track = QRectF(0, (self.height() - self._thickness) / 2, self.width(), self._thickness)
        clip = QPainterPath()
        clip.addRoundedRect(track, 2.5, 2.5)
        painter.setClipPath(clip)
        painter.fillRect(track, track_colour())
        left = 0.0
        for kind, size in self._parts:
            width = track.width() * size / self._scale
            part = QRectF(left, track.top(), width, track.height())
            painter.fillRect(part, t.strong if kind == "plain" else t.kinds[kind])
            if left > 0:
                painter.fillRect(QRectF(left, track.top(), 1, track.height()), t.surface)
            left += width
        limit_at = track.width() * self._limit / self._scale
        if self._limit and left > limit_at + 0.5:
            over = QRectF(limit_at, track.top(), left - limit_at, track.height())
            painter.fillRect(over, faded(t.danger, 0.35))
            painter.fillRect(over, QBrush(t.danger, Qt.BrushStyle.BDiagPattern))
        painter.setClipping(False)
        if self._limit and limit_at <= self.width():
            colour = t.danger if left > limit_at + 0.5 else t.text
            painter.fillRect(QRectF(min(limit_at, self.width() - 2.0), 0, 2, self.height()), colour)

    def _described(self, total: float) -> str:
        parts = ", ".join(f"{kind} {size / 1e9:.2f}" for kind, size in self._parts)
        limit = f" of {self._limit / 1e9:.1f} GB free" if self._limit else " GB"
        return f"{self._name} needs {total / 1e9:.2f}{limit}; {parts}"


class Spark(QWidget):
    """A small curve without axes."""

    def __init__(
        self, *, name: str = "", tone: str = "accent", fills: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._values: list[float] = []
        self._tone, self._fills = tone, fills
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_values(self, values: Sequence[float], tone: str = "") -> None:
        """What to draw, from left to right; not-a-number is left out."""
        shown = self._values, self._tone
        self._values = [float(value) for value in values if value == value]
        self._tone = tone or self._tone
        if shown != (self._values, self._tone):
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(72, 26)

    def paintEvent(self, event: QPaintEvent) -> None:
        if len(self._values) < 2:
            return
        painter = antialiased(self)
        colour: QColor = getattr(tokens(), self._tone, None) or tokens().kinds[self._tone]
        points = self._points()
        line = QPolygonF(points)
        if self._fills:
            area = QPolygonF([QPointF(points[0].x(), self.height()), *points, QPointF(points[-1].x(), self.height())])
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(faded(colour, 0.18))
            painter.drawPolygon(area)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(colour, 1.5))
        painter.drawPolyline(line)
        if not self._fills:
            fill_box(painter, QRectF(points[-1].x() - 2.5, points[-1].y() - 2.5, 5, 5), 2.5, colour)

    def _points(self) -> list[QPointF]:
        low, high = min(self._values), max(self._values)
        span = (high - low) or 1.0
        step = (self.width() - 6) / (len(self._values) - 1)
        room = self.height() - 6
        return [QPointF(3 + at * step, 3 + room * (1 - (value - low) / span)) for at, value in enumerate(self._values)]
