"""Make it fit: what could be given up, cheapest first, each with its price and gain; one button for what is ticked."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from studio.gui.controls import Button, Card, Check, Hairline, Text
from studio.gui.controls.painting import antialiased, fill_box
from studio.gui.figures import gigabytes
from studio.gui.icons import paint_icon
from studio.gui.method_page.layouts import clear
from studio.gui.method_page.verdict import look, words
from studio.gui.theme import at_text_size, tokens
from studio.gui.tokens import RADIUS_BOX
from studio.planner.forecast import Forecast
from studio.planner.ladder import Rung


class RungRow(QWidget):
    """One thing to give up."""

    def __init__(self, rung: Rung, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rung = rung
        self.check = Check("")
        self.check.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.check.setAccessibleName(f"{rung.title}: {rung.cost}, saves {gigabytes(rung.saves_bytes)}")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 6)
        layout.setSpacing(8)
        column = QVBoxLayout()
        column.setSpacing(0)
        column.addWidget(Text(rung.title, "body", wrap=True))
        column.addWidget(Text(rung.cost, "small", "text2", wrap=True))
        layout.addWidget(self.check)
        layout.addLayout(column, 1)
        self.saving = Text(f"− {gigabytes(rung.saves_bytes)}", "small_strong", "text2")
        layout.addWidget(self.saving)
        self.check.toggled.connect(lambda is_on: self.saving.set_tone("accent_text" if is_on else "text2"))


class _Sum(QFrame):
    """What the ticked rungs come to."""

    def __init__(self) -> None:
        super().__init__()
        self._verdict = ""
        layout = QHBoxLayout(self)
        layout.setContentsMargins(38, 7, 7, 7)
        self.text = Text("", "body_strong", wrap=True)
        self.apply = Button("Apply", "primary", compact=True)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.apply)

    def say(self, text: str, verdict: str) -> None:
        """Show another sum."""
        self._verdict = verdict
        self.text.say(text)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        icon, tone = look(self._verdict)
        soft = {"fits": t.accent_soft, "tight": t.warn_soft}.get(self._verdict, t.danger_soft)
        fill_box(painter, QRectF(self.rect()), RADIUS_BOX, soft)
        paint_icon(painter, icon, QRectF(10, 0, 22, self.height()), getattr(tokens(), tone), at_text_size(16))


class FitCard(Card):
    """The rungs.

    Signals:
        ticked(list): other rungs are ticked; carries their settings.
        applied(list): their settings are to be set.
    """

    ticked = Signal(list)
    applied = Signal(list)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Make it fit", spacing=4, parent=parent)
        self.header.addWidget(Text("cheapest first", "small", "text3"))
        self.nothing = Text("It fits as it is: there is nothing to give up.", "small", "text2", wrap=True)
        self.body.addWidget(self.nothing)
        self._column = QVBoxLayout()
        self._column.setSpacing(0)
        self.body.addLayout(self._column)
        self.sum = _Sum()
        self.sum.hide()
        self.body.addWidget(self.sum)
        self.rows: list[RungRow] = []
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        self.sum.apply.clicked.connect(lambda: self.applied.emit(self.settings()))

    def show_rungs(self, rungs: Sequence[Rung], *, is_short: bool) -> None:
        """Show what can be given up; ticks stay on rungs that are the same."""
        if [row.rung for row in self.rows] != list(rungs):
            on = {row.rung.settings for row in self.rows if row.check.isChecked()}
            self.rows = []
            clear(self._column)
            for rung in rungs:
                self._add(rung, is_on=rung.settings in on)
        self.nothing.say(
            "Nothing here could make it smaller." if is_short else "It fits as it is: there is nothing to give up."
        )
        self.nothing.setVisible(not rungs)
        self.sum.setVisible(bool(self.settings()))

    def show_sum(self, forecast: Forecast | None) -> None:
        """Show what the ticked rungs come to."""
        self.sum.setVisible(forecast is not None)
        if forecast is not None:
            verdict = words(forecast)
            text = f"Then {gigabytes(forecast.peak_bytes)}: {verdict[0].lower()}{verdict[1:]}"
            self.sum.say(text, forecast.verdict)

    def settings(self) -> list[str]:
        """What the ticked rungs set, as `path=value`; of one path the last word counts."""
        ticked = [setting for row in self.rows if row.check.isChecked() for setting in row.rung.settings]
        return list({setting.partition("=")[0]: setting for setting in ticked}.values())

    def _add(self, rung: Rung, *, is_on: bool) -> None:
        if self.rows:
            self._column.addWidget(Hairline(Qt.Orientation.Horizontal))
        row = RungRow(rung)
        row.check.setChecked(is_on)
        row.check.toggled.connect(lambda _: self.ticked.emit(self.settings()))
        self.rows.append(row)
        self._column.addWidget(row)
