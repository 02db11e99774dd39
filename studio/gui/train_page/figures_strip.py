"""Six figures of a run, each with its limit or its meaning below."""

from __future__ import annotations

import time

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from studio.gui import figures
from studio.gui.controls import Card, Elided, Hairline
from studio.gui.controls.text import Tone
from studio.gui.theme import font, theme
from studio.gui.train_page.run_watch import RunWatch
from studio.project.curves import RunCurves
from studio.sizes import counted

_MEASURED_SECONDS = 60.0  # before that the time left is a guess, and says so
_SIX_IN_A_ROW = 800  # at the usual size of text


class Figure(QWidget):
    """A caption, a figure, and a line of what it means."""

    def __init__(self, caption: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        self._caption = Elided(caption, "caption", "text3")
        self._value, self._note = Elided("", "title"), Elided("", "small", "text2")
        for words in (self._caption, self._value, self._note):
            column.addWidget(words)

    def say(self, value: str, note: str = "", tone: Tone = "text2", *, caption: str = "") -> None:
        """Show a figure; one that is not known is told in a lower voice."""
        is_known = value != figures.UNKNOWN
        self._value.set_role("title" if is_known else "heading")
        self._value.setMinimumHeight(QFontMetrics(font("title")).height())  # nothing jumps once it is known
        self._value.say(value, "text" if is_known else "text3")
        self._note.say(note or " ", tone)
        if caption:
            self._caption.say(caption)
        self.setAccessibleName(f"{self._caption.text()}: {value}, {note}".rstrip(", "))


class FiguresStrip(Card):
    """Time left, loss, held-out loss, speed, tokens, card."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(padding=14, spacing=0, parent=parent)
        self.setAccessibleName("Figures")
        self._left, self._loss, self._held = Figure("Time left"), Figure("Loss"), Figure("Held-out loss")
        self._held.setToolTip("Loss on rows it never learns from")
        self._speed, self._tokens, self._card = Figure("Tokens a second"), Figure("Trained tokens"), Figure("Card")
        self._halves = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._halves.setSpacing(16)
        self._standing, self._lying = Hairline(Qt.Orientation.Vertical), Hairline()
        self._halves.addLayout(_side_by_side(self._left, self._loss, self._held), 1)
        self._halves.addWidget(self._standing)
        self._halves.addWidget(self._lying)
        self._halves.addLayout(_side_by_side(self._speed, self._tokens, self._card), 1)
        self.body.addLayout(self._halves)
        self._fit()
        theme().changed.connect(self._fit)

    def show_run(self, watch: RunWatch) -> None:
        """Show a run as it stands."""
        curves = watch.curves
        self._say_time(watch)
        smoothed = curves.smoothed()
        loss = float(smoothed[-1]) if len(smoothed) else None
        self._loss.say(figures.loss(loss), f"mean of {counted(curves.smoothing, 'step')}")
        self._say_held_out(curves)
        speed = curves.pace.tokens_per_second
        each = curves.steps.last("all_tokens", 0.0) / max(1, len(curves.steps))
        if len(curves.steps):
            self._speed.say(figures.count(speed), f"{figures.count(each)} a step")
        else:
            self._speed.say(figures.UNKNOWN)
        trained, read = curves.steps.last("all_trained", 0.0), curves.steps.last("all_tokens", 0.0)
        self._tokens.say(figures.short_count(trained), f"of {figures.short_count(read)} read")
        self._say_card(watch)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Six in a row, or where their words would be cut two rows of three."""
        is_narrow = self.width() < _SIX_IN_A_ROW * theme().scale
        direction = QBoxLayout.Direction.TopToBottom if is_narrow else QBoxLayout.Direction.LeftToRight
        self._halves.setDirection(direction)
        self._halves.setSpacing(12 if is_narrow else 16)
        self._standing.setVisible(not is_narrow)
        self._lying.setVisible(is_narrow)

    def _say_time(self, watch: RunWatch) -> None:
        curves, left = watch.curves, watch.curves.pace.seconds_left
        if watch.status != "running":
            self._left.say(figures.duration(curves.active_seconds), "of training", caption="It took")
        elif left is None:
            self._left.say(figures.UNKNOWN, "after the first step", caption="Time left")
        else:
            about = "about " if curves.pace.measured_seconds < _MEASURED_SECONDS else ""
            done = f"done about {figures.clock(time.time() + left)}"
            self._left.say(f"{about}{figures.duration(left)}", done, caption="Time left")

    def _say_held_out(self, curves: RunCurves) -> None:
        if not len(curves.evals):
            self._held.say(figures.UNKNOWN, "measured at the first check")
            return
        now, best = float(curves.evals["loss"][-1]), curves.best
        at = int(curves.evals["step"][-1])
        if best is None:
            self._held.say(figures.loss(now), "before tuning")
        elif best[0] == at:
            self._held.say(figures.loss(now), f"best, step {figures.count(at)}", "accent_text")
        else:
            self._held.say(figures.loss(now), f"best {figures.loss(best[1])} at {figures.count(best[0])}")

    def _say_card(self, watch: RunWatch) -> None:
        gpu, curves = watch.gpu, watch.curves
        if gpu is None or gpu.temperature is None:
            name, limit = watch.limit
            peak = curves.peak_bytes("gpu" if curves.has_gpu else "ram")
            of = f"of {figures.gigabytes(limit)}, at its peak" if limit else "at its peak"
            self._card.say(figures.gigabytes(peak) if peak else figures.UNKNOWN, of, caption=f"{name} used")
            return
        watts = f"{gpu.watts:.0f} W of {gpu.watt_limit:.0f} W" if gpu.watts and gpu.watt_limit else gpu.name
        self._card.say(f"{gpu.temperature:.0f} °C", watts, caption="Card")


def _side_by_side(*figures_shown: Figure) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(16)
    for at, figure in enumerate(figures_shown):
        if at:
            row.addWidget(Hairline(Qt.Orientation.Vertical))
        row.addWidget(figure, 1)
    return row
