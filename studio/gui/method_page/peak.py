"""The chosen method's predicted peak, split by kind against what is free."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from studio.gui.controls import Button, Card, Elided, MemoryBar, Text
from studio.gui.controls.painting import antialiased, fill_box
from studio.gui.figures import UNKNOWN, duration, gigabytes, plain_gigabytes
from studio.gui.icons import Icon
from studio.gui.method_page.layouts import LARGE, TurningRow, clear
from studio.gui.method_page.verdict import kind_words
from studio.gui.theme import font, theme, tokens
from studio.gui.tokens import CARD_PADDING
from studio.planner.forecast import Forecast
from studio.planner.wear import streaming_words

_COLUMN_GAP = 8


class _Swatch(QWidget):
    SIZE = 10

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(self.SIZE, self.SIZE)

    def paintEvent(self, event: QPaintEvent) -> None:
        fill_box(antialiased(self), QRectF(0, 0, 9, 9), 2, tokens().kinds[self._kind])


class PeakCard(Card):
    """What the run would take at its worst moment."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(spacing=8, parent=parent)
        self.name = Text("", "heading", wrap=True)
        self.note = Text("", "small", "text2", wrap=True)
        self.figure = Text("", "title")
        self.limit = Text("", "small", "text2")
        self.bar = MemoryBar(name="Predicted peak", thickness=14)
        self.exact = Button("Exact peak", "quiet", icon=Icon.FLASK, compact=True)
        self.exact.setToolTip("Traces one step through the model's own code; takes some seconds.")
        self.speeds = Button("Measure the speed", "quiet", icon=Icon.LIGHTNING, compact=True)
        self.speeds.setToolTip("Measures this computer once, some seconds; times are foretold from then on.")
        self.tracing = Text("", "small", "text3")
        self.streaming = Text("", "small", "text2", wrap=True)
        self.streaming.hide()
        self._legend = QGridLayout()
        self._legend.setHorizontalSpacing(8)
        self._legend.setVerticalSpacing(4)
        self._shown: Forecast | None = None
        self._columns = 3
        self._lay_out()

    def show_forecast(self, title: str, forecast: Forecast | None, device: str = "") -> None:
        """Show a method's forecast, None while it is not known; `device` is the card's name."""
        self.name.say(f"{title} on this computer")
        if forecast is None:
            self.note.say("Worked out once the model's facts are known.")
            self.figure.say(UNKNOWN, "text3")
            self.limit.say("")
            self.bar.set_parts([], 0)
            self.streaming.hide()
            return
        is_over = forecast.peak_bytes > forecast.limit_bytes
        self.note.say(_note(forecast, device))
        self.figure.say(gigabytes(forecast.peak_bytes), "danger" if is_over else "text")
        self.limit.say(f"of {plain_gigabytes(forecast.limit_bytes)} GB free")
        self.limit.setToolTip(f"{forecast.limit_bytes / 2**30:.1f} GiB")
        self.bar.set_parts(list(forecast.memory.items()), forecast.limit_bytes)
        words = streaming_words(forecast.read_bytes, forecast.written_bytes, forecast.steps, forecast.drive_share)
        self.streaming.say(words)
        self.streaming.setVisible(bool(words))
        self._shown = forecast
        self._show_legend(forecast)

    def show_probe(self, words: str, *, is_busy: bool, may_start: bool, may_measure: bool) -> None:
        """Show whether something is being found out, and what can be."""
        self.speeds.setVisible(may_measure and not is_busy)
        self.exact.setText("Cancel" if is_busy else "Exact peak")
        self.exact.set_glyph(None if is_busy else Icon.FLASK)
        self.exact.setVisible(is_busy or may_start)
        self.tracing.say(words)
        self.tracing.setVisible(bool(words) or theme().scale <= LARGE)  # beside the buttons it keeps them at the right

    def _lay_out(self) -> None:
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self.name)
        words.addWidget(self.note)
        figures = QVBoxLayout()
        figures.setSpacing(0)
        for label in (self.figure, self.limit):
            label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            figures.addWidget(label)
        head = QHBoxLayout()
        head.addLayout(words, 1)
        head.addLayout(figures)
        self.body.addLayout(head)
        self.body.addWidget(self.bar)
        self.body.addLayout(self._legend)
        self.body.addWidget(self.streaming)
        foot = TurningRow()
        foot.addWidget(self.tracing, 1)
        foot.addWidget(self.speeds)
        foot.addWidget(self.exact)
        self.body.addLayout(foot)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._shown is not None and self._fitting_columns(self._shown) != self._columns:
            self._show_legend(self._shown)

    def _fitting_columns(self, forecast: Forecast) -> int:
        """Three, or fewer where a kind's word or figure would be cut."""
        room = self.width() - 2 * CARD_PADDING
        return next(columns for columns in (3, 2, 1) if columns == 1 or self._needed(forecast, columns) <= room)

    def _needed(self, forecast: Forecast, columns: int) -> float:
        """The width of the legend in so many columns."""
        shown = [(kind, size) for kind, size in forecast.memory.items() if size > 0]
        words, strong = QFontMetricsF(font("small")), QFontMetricsF(font("small_strong"))
        room: float = (columns - 1) * _COLUMN_GAP
        for column in (shown[at::columns] for at in range(columns)):
            word = max((words.horizontalAdvance(kind_words(kind, forecast.device)) for kind, _ in column), default=0)
            figure = max((strong.horizontalAdvance(_short(size, forecast.peak_bytes)) for _, size in column), default=0)
            room += _Swatch.SIZE + word + figure + 3 * self._legend.horizontalSpacing()
        return room

    def _show_legend(self, forecast: Forecast) -> None:
        clear(self._legend)
        self._columns = self._fitting_columns(forecast)
        shown = [(kind, size) for kind, size in forecast.memory.items() if size > 0]
        for at, (kind, size) in enumerate(shown):
            row, column = divmod(at, self._columns)
            self._legend.addWidget(_Swatch(kind), row, column * 3)
            word = Elided(kind_words(kind, forecast.device), "small", "text2")
            if self._columns > 1:  # there is room for all, though not in equal parts
                word.setMinimumWidth(word.fontMetrics().horizontalAdvance(word.text()) + 1)
            self._legend.addWidget(word, row, column * 3 + 1)
            figure = Text(_short(size, forecast.peak_bytes), "small_strong")
            figure.setAlignment(Qt.AlignmentFlag.AlignRight)
            figure.setContentsMargins(0, 0, 0 if column == self._columns - 1 else _COLUMN_GAP, 0)
            self._legend.addWidget(figure, row, column * 3 + 2)
        for column in range(3):
            self._legend.setColumnStretch(column * 3 + 1, int(column < self._columns))


def _note(forecast: Forecast, device: str) -> str:
    """Where it would run and how long."""
    place = "in RAM" if forecast.device == "cpu" else f"on {device or forecast.device}"
    time = "" if forecast.run_seconds is None else f"; about {duration(forecast.run_seconds)}"
    return f"{'Traced' if forecast.is_exact else 'Predicted'} peak {place}{time}"


def _short(size: int, peak: int) -> str:
    """'8.05' where the peak says GB, else with its unit."""
    return f"{size / 1e9:.2f}" if peak >= 1e9 else gigabytes(size)
