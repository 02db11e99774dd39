"""One method on this computer: verdict, memory on a scale that all cards share, time, and when to take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from studio.gui.controls import MemoryBar, Text
from studio.gui.controls.painting import antialiased
from studio.gui.figures import UNKNOWN, duration, gigabytes
from studio.gui.icons import paint_icon
from studio.gui.method_page.choice_card import ChoiceCard
from studio.gui.method_page.layouts import TurningRow
from studio.gui.method_page.verdict import look, words
from studio.gui.theme import at_text_size, tokens
from studio.methods import Method
from studio.planner.forecast import Forecast


@dataclass(frozen=True)
class Scales:
    """What the width of each bar stands for, in bytes; the same on all cards, so that they compare."""

    main: float
    ram: float
    disk: float


class Verdict(QWidget):
    """Icon and words of a verdict."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._verdict = ""
        layout = QHBoxLayout(self)
        layout.setContentsMargins(20, 0, 0, 0)
        self.text = Text(UNKNOWN, "small_strong", "text3")
        layout.addWidget(self.text)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def say(self, text: str, verdict: str) -> None:
        """Show another one."""
        self._verdict = verdict
        self.text.say(text, look(verdict)[1])
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        icon, tone = look(self._verdict)
        paint_icon(antialiased(self), icon, QRectF(0, 0, 16, self.height()), getattr(tokens(), tone), at_text_size(14))


class Amount(QWidget):
    """A word, a figure at the right, and a bar below them."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = Text(title, "small", "text2")
        self.figure = Text("", "small_strong")
        self.bar = MemoryBar(name=title, thickness=8)
        line = TurningRow()
        line.addWidget(self.title)
        line.addStretch(1)
        line.addWidget(self.figure)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(line)
        column.addWidget(self.bar)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def minimumSizeHint(self) -> QSize:
        return QSize(64, super().minimumSizeHint().height())

    def show_parts(self, parts: list[tuple[str, float]], limit: float, scale: float) -> None:
        """Show an amount by its parts."""
        total = sum(size for _, size in parts)
        self.figure.say(gigabytes(total), "danger" if limit and total > limit else "text")
        self.bar.set_parts(parts, limit, scale)


class MethodCard(ChoiceCard):
    """A method to choose."""

    def __init__(self, method: Method, parent: QWidget | None = None) -> None:
        super().__init__(method.key, method.title, method.summary, parent)
        self.verdict = Verdict()
        self.head.addWidget(self.verdict)
        self.good_for = Text(f"Good for: {method.good_for}", "small", "text2", wrap=True)
        self.avoid_when = Text(f"Not when: {method.avoid_when}", "small", "text2", wrap=True)
        for line in (self.good_for, self.avoid_when):
            line.hide()
            self.content.addWidget(line)
        self.main, self.ram, self.disk = Amount("GPU"), Amount("RAM"), Amount("Disk")
        self.time = Text(UNKNOWN, "small_strong")
        self.content.addLayout(self._bars())

    def show_forecast(self, forecast: Forecast | None, scales: Scales) -> None:
        """Show what the method would take; None while it is not known."""
        if forecast is None:
            self.verdict.say(words(None), "")
            return
        on_gpu = forecast.device != "cpu"
        self.main.title.say("GPU" if on_gpu else "RAM")
        self.main.show_parts(list(forecast.memory.items()), forecast.limit_bytes, scales.main)
        self.ram.setVisible(on_gpu)
        self.ram.show_parts([("plain", forecast.ram_bytes)], forecast.ram_limit, scales.ram)
        self.disk.show_parts([("plain", forecast.disk_bytes)], forecast.disk_limit, scales.disk)
        self.verdict.say(words(forecast), forecast.verdict)
        is_possible = forecast.verdict != "impossible"
        self.time.say(_time(forecast), "text" if is_possible else "text3")
        self.name.set_tone("text" if is_possible else "text3")
        self.radio.setAccessibleDescription(f"{words(forecast)}. {self.main.bar.accessibleDescription()}")

    def set_chosen(self, is_on: bool) -> None:
        super().set_chosen(is_on)
        self.good_for.setVisible(is_on)
        self.avoid_when.setVisible(is_on)

    def set_dimmed(self, is_dimmed: bool) -> None:
        """Show that the figures are being worked out anew."""
        for amount in (self.main, self.ram, self.disk):
            amount.bar.set_dimmed(is_dimmed)

    def _bars(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setContentsMargins(0, 6, 0, 0)
        row.setSpacing(18)
        row.addWidget(self.main, 22)
        row.addWidget(self.ram, 10)
        row.addWidget(self.disk, 10)
        time = QVBoxLayout()
        time.setSpacing(2)
        caption = Text("Time", "small", "text2")
        for label in (caption, self.time):
            label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            time.addWidget(label)
        time.addStretch(1)
        row.addLayout(time, 9)
        return row


def scales_of(forecasts: Mapping[str, Forecast]) -> Scales:
    """Bars end a third beyond what is free, so that the mark stands clear; what is far too large runs off."""
    found = list(forecasts.values())
    return Scales(
        main=max((forecast.limit_bytes for forecast in found), default=0) * 1.35 or 1.0,
        ram=max((forecast.ram_limit for forecast in found), default=0) * 1.35 or 1.0,
        disk=max((forecast.disk_limit for forecast in found), default=0) * 1.35 or 1.0,
    )


def _time(forecast: Forecast) -> str:
    if forecast.verdict == "impossible":
        return "not possible"
    return UNKNOWN if forecast.run_seconds is None else f"about {duration(forecast.run_seconds)}"
