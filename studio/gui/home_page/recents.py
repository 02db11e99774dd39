"""Recent projects: how each one's last run went, and a way back in."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QKeyEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QVBoxLayout, QWidget

from studio.gui import figures
from studio.gui.context import Context
from studio.gui.controls import Button, Card, Hairline, ScrollColumn, Skeleton, States, ask
from studio.gui.controls.buttons import ButtonRole
from studio.gui.controls.painting import KeyboardFocus, antialiased, fill_box, focus_ring
from studio.gui.controls.surfaces import BadgeTone, badge_colours
from studio.gui.icons import Icon, paint_icon
from studio.gui.naming import model_name
from studio.gui.tasks import Control, Task
from studio.gui.theme import font, icon_size, theme, tokens
from studio.gui.tokens import LIST_ROW_HEIGHT, RADIUS_BADGE, RADIUS_CONTROL
from studio.methods import METHODS
from studio.project.overview import Overview, overview
from studio.project.recent import Recent, forget_project, recent_projects

_SHOWN = 5
_BADGES: dict[str, tuple[str, BadgeTone]] = {
    "new": ("Not started", "neutral"),
    "running": ("Training", "good"),
    "done": ("Finished", "neutral"),
    "stopped": ("Stopped", "neutral"),
    "paused": ("Paused", "warn"),
    "failed": ("Failed", "danger"),
    "interrupted": ("Interrupted", "warn"),
}


@dataclass(frozen=True)
class Entry:
    """A project in the list."""

    recent: Recent
    overview: Overview


class _Row(KeyboardFocus, QAbstractButton):
    """One project.

    Signals:
        forgotten(): the person wants it off the list (Del).
    """

    forgotten = Signal()

    def __init__(self, entry: Entry) -> None:
        super().__init__()
        self.entry = entry
        self.setText(entry.recent.folder.name)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        badge, _ = self._badge()
        self.setAccessibleName(f"{self.text()}, {model_name(entry.overview.model)}, {badge}")
        self.setToolTip(str(entry.recent.folder))

    def sizeHint(self) -> QSize:
        return QSize(400, round(LIST_ROW_HEIGHT * max(1.0, theme().scale)))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
        elif event.key() == Qt.Key.Key_Delete:
            self.forgotten.emit()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        rect, look = QRectF(self.rect()), self.entry.overview
        if self.underMouse():
            fill_box(painter, rect.adjusted(-0, 2, 0, -2), RADIUS_CONTROL, t.hover)
        if self.shows_focus:
            focus_ring(painter, rect.adjusted(0, 2, 0, -2), RADIUS_CONTROL)
        at = columns(rect.width())
        self._write(painter, 8, 12, at[1] - 20, self.text(), "item")
        if look.problem:
            self._write(painter, 8, 31, at[3] - 20, look.problem, "small", "warn")
        else:
            self._write(painter, 8, 31, at[1] - 20, model_name(look.model), "small", "text2")
        if look.number:
            title = METHODS.get(look.method).title if look.method in METHODS.all() else look.method
            self._write(painter, at[1], 21, at[2] - at[1] - 12, f"{title}, run {look.number}", "body", "text2")
        elif not look.problem:
            self._write(painter, at[1], 21, at[2] - at[1] - 12, "none yet", "body", "text3")
        self._paint_loss(painter, at[2], at[3] - at[2])
        self._paint_badge(painter, at[3])
        when = figures.when(self.entry.recent.opened)
        width = QFontMetricsF(font("small")).horizontalAdvance(when)
        self._write(painter, rect.width() - 34 - width, 21, width + 4, when, "small", "text2")
        paint_icon(painter, Icon.CARET_RIGHT, QRectF(rect.width() - 24, 0, 14, rect.height()), t.text3, icon_size(12))

    def _write(
        self, painter: QPainter, x: float, y: float, room: float, text: str, role: str, tone: str = "text"
    ) -> None:
        painter.setFont(font(role))
        painter.setPen(getattr(tokens(), tone))
        shown = QFontMetricsF(font(role)).elidedText(text, Qt.TextElideMode.ElideRight, room)
        line = 18 * theme().scale
        top = self.height() / 2 + (y + 9 - LIST_ROW_HEIGHT / 2) * theme().scale - line / 2
        painter.drawText(QRectF(x, top, room, line), Qt.AlignmentFlag.AlignVCenter, shown)

    def _paint_loss(self, painter: QPainter, x: float, room: float) -> None:
        values = [value for value in self.entry.overview.evals if math.isfinite(value)]
        if not values:
            return
        last = figures.loss(values[-1])
        words = QFontMetricsF(font("body_strong")).horizontalAdvance(last) + 2
        curve = max(0.0, min(66.0, room - words - 24))
        self._write(painter, x + curve + 16, 21, words, last, "body_strong")
        if len(values) < 2:
            return
        low, high = min(values), max(values)
        step, rise = curve / (len(values) - 1), 20 / ((high - low) or 1)
        points = [
            QPointF(x + step * at, self.height() / 2 + 10 - rise * (value - low))
            for at, value in enumerate(values)
        ]
        is_live = self._badge()[1] == "good"
        colour = tokens().accent if is_live else tokens().text3
        painter.setPen(QPen(colour, 1.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF(points))
        fill_box(painter, QRectF(points[-1].x() - 2.5, points[-1].y() - 2.5, 5, 5), 2.5, colour)

    def _paint_badge(self, painter: QPainter, x: float) -> None:
        text, tone = self._badge()
        if not text:
            return
        fill, ink = badge_colours(tone)
        words = QFontMetricsF(font("small_strong"))
        height = words.height() + 5
        box = QRectF(x, (self.height() - height) / 2, words.horizontalAdvance(text) + 15, height)
        fill_box(painter, box, RADIUS_BADGE, fill)
        painter.setFont(font("small_strong"))
        painter.setPen(ink)
        painter.drawText(box, 0x84, text)

    def _badge(self) -> tuple[str, BadgeTone]:
        look = self.entry.overview
        if look.problem:
            return "Not found" if not self.entry.recent.is_there else "Damaged", "warn"
        if look.state is None:
            return "", "neutral"
        if look.state.status == "done" and look.has_export:
            return "Exported", "neutral"
        text, tone = _BADGES[look.state.status]
        if look.state.status == "running" and look.state.total:
            text = f"{text}, {figures.share(look.state.step / look.state.total)}"
        return text, tone


def columns(width: float) -> tuple[float, float, float, float]:
    """Where name, last run, loss and state begin, in a row of this width."""
    return 8, width * 0.27, width * 0.47, width * 0.67


class _Heads(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(20)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = antialiased(self)
        painter.setFont(font("caption"))
        painter.setPen(tokens().text3)
        heads = ("Project", "Last run", "Held-out loss", "State")
        for x, head in zip(columns(self.width()), heads, strict=True):
            painter.drawText(QRectF(x, 0, 160, 20), Qt.AlignmentFlag.AlignVCenter, head)
        box = QRectF(0, 0, self.width() - 34, 20)
        painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, "Opened")


class Recents(Card):
    """The card.

    Attributes:
        is_empty: there is nothing to go back to.

    Signals:
        emptied(): that has changed.
    """

    emptied = Signal()

    def __init__(self, context: Context) -> None:
        super().__init__("Recent projects", spacing=6)
        self.is_empty = not recent_projects()
        self._context = context
        self._task: Task | None = None
        self._shows_all = False
        self._seen: list[Entry] | None = None
        self.states = States()
        self.states.add("busy", Skeleton(6))
        self.states.add("full", self._make_full())
        self.all_button = Button("", "quiet", compact=True)
        self.all_button.clicked.connect(self._on_all)
        self.header.addWidget(self.all_button)
        self.body.addWidget(self.states, 1)

    def refresh(self) -> None:
        """Look at the projects again."""
        if self._task is not None:
            self._task.cancel()
        recents = recent_projects()
        shown = recents if self._shows_all else recents[:_SHOWN]
        self.all_button.setVisible(len(recents) > _SHOWN)
        self.all_button.setText("Show fewer" if self._shows_all else f"All projects ({len(recents)})")
        if self.is_empty == bool(recents):
            self.is_empty = not recents
            self.emptied.emit()
        if self.is_empty:
            self._seen = None
            return
        self._task = self._context.tasks.run(_look, shown, on_done=self._fill)

    def _make_full(self) -> QWidget:
        inside = QWidget()
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(_Heads())
        self._scroll = ScrollColumn()
        layout.addWidget(self._scroll, 1)
        return inside

    def _fill(self, entries: list[Entry]) -> None:
        self.states.show_state("full")
        if entries == self._seen:
            return
        self._seen = entries
        column = self._scroll.column
        while (item := column.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        for at, entry in enumerate(entries):
            if at:
                column.addWidget(Hairline())
            row = _Row(entry)
            row.clicked.connect(lambda _=False, entry=entry: self._open(entry))
            row.forgotten.connect(lambda entry=entry: self._forget(entry))
            column.addWidget(row)
        column.addStretch(1)

    def _open(self, entry: Entry) -> None:
        if not entry.recent.is_there:
            self._ask_about(entry)
            return
        if not self._context.open_project(entry.recent.folder):
            return
        state = entry.overview.state
        self._context.navigate("train" if state is not None and state.status == "running" else "data")

    def _ask_about(self, entry: Entry) -> None:
        """A project that has gone: where is it now, or is it to be forgotten?"""
        folder, session = entry.recent.folder, self._context.session
        text = f"It was in {folder.parent}. It was moved or deleted, or its drive is not connected."
        answers: list[tuple[str, ButtonRole]] = [
            ("Cancel", "quiet"),
            ("Remove from the list", "secondary"),
            ("Locate…", "primary"),
        ]
        answer = ask(self, f"{folder.name} is not there any more", text, answers)
        before = session.project
        if answer == 2:
            self._context.open_project_dialog()
        if answer == 1 or session.project is not before:
            self._forget(entry)

    def _forget(self, entry: Entry) -> None:
        forget_project(entry.recent.folder)
        self.refresh()

    def _on_all(self) -> None:
        self._shows_all = not self._shows_all
        self.refresh()


def _look(control: Control, recents: list[Recent]) -> list[Entry]:
    return [Entry(recent, overview(recent.folder)) for recent in recents]
