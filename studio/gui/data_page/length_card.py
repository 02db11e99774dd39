"""How long rows are in tokens, where they are cut, and one click that changes it."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from studio.gui import figures
from studio.gui.controls import Button, Card, Skeleton, States, Text
from studio.gui.controls.painting import antialiased
from studio.gui.data_page.work import Summary
from studio.gui.theme import font, theme, tokens
from studio.gui.tokens import mixed

_HEAD, _FOOT = 20, 18
_STEP = 64


def _head() -> int:
    return round(_HEAD * max(1.0, theme().scale))


def _foot() -> int:
    return round(_FOOT * max(1.0, theme().scale))


class LengthChart(QWidget):
    """Rows by length, with the longest length that is read drawn in."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._counts: list[int] = []
        self._top, self._limit = 1, 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Rows by length in tokens")

    def show_lengths(self, counts: list[int], top: int, limit: int) -> None:
        """Show rows in equal steps from 0 to `top` tokens; `limit` 0 for none."""
        self._counts, self._top, self._limit = counts, top, limit
        self.setAccessibleDescription(_described(counts, top, limit))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(200, 84 + _head() + _foot())

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._counts:
            return
        painter, t = antialiased(self), tokens()
        plot = QRectF(0, _head(), self.width(), self.height() - _head() - _foot())
        most = max(self._counts) or 1
        step = plot.width() / len(self._counts)
        usual = mixed(t.surface, t.text, 0.34 if t.is_dark else 0.32)
        for at, count in enumerate(self._counts):
            # The smallest amount still shows: one row is not none.
            height = max(1.5, plot.height() * count / most) if count else 1.0
            is_beyond = self._limit and (at + 0.5) * self._top / len(self._counts) > self._limit
            colour = t.grid if not count else t.danger if is_beyond else usual
            bar = QRectF(at * step, plot.bottom() - height, max(1.0, step - 1), height)
            painter.fillRect(bar, colour)
        self._paint_axis(painter, plot)
        if 0 < self._limit <= self._top:
            self._paint_limit(painter, plot)

    def _paint_axis(self, painter: QPainter, plot: QRectF) -> None:
        t = tokens()
        painter.setFont(font("caption"))
        painter.setPen(t.text3)
        words = QFontMetricsF(font("caption"))
        taken: list[tuple[float, float]] = []
        marks = [0, self._limit, self._top] if 0 < self._limit <= self._top else [0, self._top, self._top // 2]
        for value in dict.fromkeys(marks):
            text = figures.count(value)
            width = words.horizontalAdvance(text)
            left = min(max(0.0, plot.width() * value / self._top - width / 2), plot.width() - width)
            if any(left < end + 8 and start - 8 < left + width for start, end in taken):
                continue
            taken.append((left, left + width))
            painter.drawText(QRectF(left, plot.bottom() + 3, width + 2, _foot()), Qt.AlignmentFlag.AlignTop, text)

    def _paint_limit(self, painter: QPainter, plot: QRectF) -> None:
        t = tokens()
        x = round(plot.width() * self._limit / self._top) - 0.5
        painter.setPen(QPen(t.text, 1, Qt.PenStyle.DashLine))
        painter.drawLine(round(x), 2, round(x), round(plot.bottom()))
        text = f"max length {figures.count(self._limit)}"
        used = font("small_strong")
        width = QFontMetricsF(used).horizontalAdvance(text) + 4
        left = x - width - 4 if x > width + 4 else x + 6
        painter.setFont(used)
        painter.setPen(t.text)
        painter.drawText(QRectF(left, 0, width, _head() - 2), Qt.AlignmentFlag.AlignVCenter, text)


class LengthCard(Card):
    """Rows by length, and what the limit costs.

    Signals:
        raise_wanted(int): read this many tokens of a row.
        show_wanted(): show the rows that are too long.
    """

    raise_wanted = Signal(int)
    show_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Length in tokens", padding=16, spacing=8, parent=parent)
        self._proposal = 0
        self.states = States()
        self.states.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.chart = LengthChart()
        self.states.add("busy", Skeleton(6))
        self.states.add("chart", self.chart)
        self.body.addWidget(self.states)
        self.sentence = Text("Counting…", "small", "text2", wrap=True)
        self.body.addWidget(self.sentence)
        row = QHBoxLayout()
        row.setSpacing(6)
        self.raise_button = Button("", compact=True)
        self.raise_button.clicked.connect(lambda: self.raise_wanted.emit(self._proposal))
        self.show_button = Button("Show them", "quiet", compact=True)
        self.show_button.clicked.connect(self.show_wanted)
        row.addWidget(self.raise_button)
        row.addWidget(self.show_button)
        row.addStretch(1)
        self.body.addLayout(row)
        self._show_buttons(False)
        theme().changed.connect(self.chart.updateGeometry)
        theme().changed.connect(self.chart.update)

    def show_summary(
        self, summary: Summary | None, limit: int, context: int, waiting: str, *, is_coming: bool = True
    ) -> None:
        """Show what is known.

        Args:
            limit: tokens of a row that are read; 0 for all.
            context: tokens that the model was made for; 0 when not known.
            waiting: said while nothing is known.
            is_coming: whether it comes by itself; else something has to be done before.
        """
        self.states.setVisible(summary is not None or is_coming)
        if summary is None or not summary.counts.any():
            self.states.show_state("busy")
            self.sentence.say(waiting)
            self._show_buttons(False)
            return
        self.states.show_state("chart")
        self.chart.show_lengths(summary.counts.tolist(), summary.top, limit)
        sums = summary.figures
        self._proposal = _proposal(sums.longest, context)
        self.sentence.say(_sentence(summary, limit))
        may_raise = sums.too_long > 0 and self._proposal > limit
        self.raise_button.setText(f"Raise to {figures.count(self._proposal)}")
        self.raise_button.updateGeometry()
        self._show_buttons(sums.too_long > 0, may_raise=may_raise)

    def _show_buttons(self, are_shown: bool, *, may_raise: bool = True) -> None:
        self.raise_button.setVisible(are_shown and may_raise)
        self.show_button.setVisible(are_shown)


def _proposal(longest: int, context: int) -> int:
    """A length that cuts no row, or as much as the model can read."""
    whole = -(-longest // _STEP) * _STEP
    return min(whole, context) if context else whole


def _sentence(summary: Summary, limit: int) -> str:
    sums = summary.figures
    good = max(1, sums.rows - sums.set_aside + sums.answer_lost)
    so_far = "" if sums.is_counted else " so far"
    if not sums.too_long:
        of_limit = f" of {figures.count(limit)}" if limit else ""
        return f"No row is cut{so_far}. The longest has {figures.count(sums.longest)}{of_limit} tokens."
    rows = "row" if sums.too_long == 1 else "rows"
    verb = "is longer and loses its" if sums.too_long == 1 else "are longer and lose their"
    text = f"{figures.count(sums.too_long)} {rows} ({figures.share(sums.too_long / good)}) {verb} end{so_far}."
    if sums.answer_lost:
        text += f" Of {figures.count(sums.answer_lost)} nothing is left to learn."
    return text


def _described(counts: list[int], top: int, limit: int) -> str:
    width = top / max(1, len(counts))
    bars = [
        f"{round(at * width):,} to {round((at + 1) * width):,}: {count:,}" for at, count in enumerate(counts) if count
    ]
    return f"Rows by tokens, at most {limit:,} are read. {'; '.join(bars)}"
