"""The rail: where one is, what is open, and one live fact for each stage of the journey."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QVBoxLayout, QWidget

from studio.gui.context import Context
from studio.gui.controls.painting import KeyboardFocus, antialiased, edge_box, fill_box, focus_ring
from studio.gui.icons import Icon, paint_icon
from studio.gui.naming import model_name
from studio.gui.page import PAGES, Page
from studio.gui.shortcuts import key_text
from studio.gui.theme import at_text_size, font, theme, tokens
from studio.gui.tokens import RADIUS_BOX, RADIUS_CONTROL, RAIL_FOLDED, RAIL_WIDTH

_FOOT = 90


class _Item(KeyboardFocus, QAbstractButton):
    """One line of the rail: icon, title, fact."""

    def __init__(self, icon: Icon, title: str, fact: str = "", *, checkable: bool = True) -> None:
        super().__init__()
        self._icon = icon
        self._fact = ""
        self.is_folded = False
        self.is_live = False
        self.setText(title)
        self.setCheckable(checkable)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_fact(fact)

    def set_fact(self, fact: str, *, is_live: bool = False) -> None:
        """What stands at the right; live facts get a dot and the accent."""
        if (fact, is_live) == (self._fact, self.is_live) and self.accessibleName():
            return
        self._fact, self.is_live = fact, is_live
        self.setAccessibleName(f"{self.text()}, {fact}" if fact else self.text())
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(120, 34)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        rect = QRectF(self.rect())
        if self.isChecked() or self.underMouse():
            fill_box(painter, rect, RADIUS_CONTROL, t.hover if not self.isChecked() or t.is_dark else t.border)
        if self.isChecked():
            fill_box(painter, QRectF(0, rect.center().y() - 8, 3, 16), 1.5, t.accent)
        if self.shows_focus:
            focus_ring(painter, rect, RADIUS_CONTROL)
        ink = t.text if self.isChecked() else t.text2 if self.isEnabled() else t.text3
        size = at_text_size(18)
        left = (rect.width() - size) / 2 if self.is_folded else 12
        paint_icon(painter, self._icon, QRectF(left, 0, size, rect.height()), ink, size)
        if self.is_folded:
            if self.is_live:
                fill_box(painter, QRectF(rect.width() - 15, 8, 6, 6), 3, t.accent)
            return
        painter.setFont(font("body_strong"))
        painter.setPen(ink)
        painter.drawText(rect.adjusted(40, 0, -8, 0), Qt.AlignmentFlag.AlignVCenter, self.text())
        if self._fact:
            self._paint_fact(painter, rect)

    def _paint_fact(self, painter: QPainter, rect: QRectF) -> None:
        t = tokens()
        words = QFontMetricsF(font("small"))
        room = rect.width() - 58 - QFontMetricsF(font("body_strong")).horizontalAdvance(self.text())
        fact = _fitting(words, room, self._fact, self._fact.partition(" ")[0])
        width = words.horizontalAdvance(fact)
        painter.setFont(font("small_strong" if self.is_live else "small"))
        painter.setPen(t.accent_text if self.is_live else t.text3)
        box = rect.adjusted(0, 0, -10, 0)
        painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, fact)
        if self.is_live:
            fill_box(painter, QRectF(box.right() - width - 14, rect.center().y() - 3, 6, 6), 3, t.accent)


def _fitting(words: QFontMetricsF, room: float, *texts: str) -> str:
    """The first text that has room, each shorter than the one before; else the last, with an ellipsis."""
    wanted = [text for text in texts if text]
    fits = next((text for text in wanted if words.horizontalAdvance(text) <= room), None)
    if fits is not None:
        return fits
    cut = words.elidedText(wanted[-1] if wanted else "", Qt.TextElideMode.ElideRight, room)
    return "" if cut == "…" else cut  # that alone says nothing


class _Mark(QWidget):
    """The program's mark, a tuning fork, and its name."""

    def __init__(self) -> None:
        super().__init__()
        self.is_folded = False
        self.setFixedHeight(40)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        left = (self.width() - 26) / 2 if self.is_folded else 4
        paint_mark(painter, QRectF(left, 6, 26, 26))
        if not self.is_folded:
            painter.setFont(font("heading"))
            painter.setPen(t.text)
            painter.drawText(QRectF(40, 0, self.width(), 38), Qt.AlignmentFlag.AlignVCenter, "Tunesmith")


def paint_mark(painter: QPainter, rect: QRectF) -> None:
    """A tuning fork on a tile of accent."""
    fill_box(painter, rect, rect.width() * 0.23, tokens().accent)
    unit = rect.width() / 26
    x, y = rect.left(), rect.top()
    fork = QPainterPath()
    fork.moveTo(x + 8.5 * unit, y + 6 * unit)
    fork.lineTo(x + 8.5 * unit, y + 10 * unit)
    fork.cubicTo(x + 8.5 * unit, y + 16 * unit, x + 17.5 * unit, y + 16 * unit, x + 17.5 * unit, y + 10 * unit)
    fork.lineTo(x + 17.5 * unit, y + 6 * unit)
    fork.moveTo(x + 13 * unit, y + 14.5 * unit)
    fork.lineTo(x + 13 * unit, y + 20.5 * unit)
    pen = QPen(tokens().on_accent, 2.2 * unit)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPath(fork)


class Switcher(KeyboardFocus, QAbstractButton):
    """The open project's name; a click opens the list of others."""

    def __init__(self) -> None:
        super().__init__()
        self.is_folded = False
        self._line = ""
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self._fit()
        theme().changed.connect(self._fit)
        self.say("No project", "Make or open one")

    def say(self, name: str, line: str) -> None:
        """The project's name and the line below it."""
        self.setText(name)
        self._line = line
        self.setAccessibleName(f"Project: {name}, {line}")
        self.setToolTip(f"{name}\n{line}")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        rect = QRectF(self.rect())
        fill_box(painter, rect, RADIUS_BOX, t.hover if self.underMouse() else t.surface)
        edge_box(painter, rect, RADIUS_BOX, t.border)
        if self.shows_focus:
            focus_ring(painter, rect, RADIUS_BOX)
        if self.is_folded:
            paint_icon(painter, Icon.FOLDER, rect, t.text2, at_text_size(18))
            return
        room, half = rect.width() - 42, rect.height() / 2
        for role, tone, top, texts in (
            ("item", t.text, half - 17 * theme().scale, (self.text(),)),
            ("small", t.text3, half, (self._line, self._line.rpartition(" · ")[0])),
        ):
            painter.setFont(font(role))
            painter.setPen(tone)
            shown = _fitting(QFontMetricsF(font(role)), room, *texts)
            painter.drawText(QRectF(12, top, room, 17 * theme().scale), Qt.AlignmentFlag.AlignVCenter, shown)
        paint_icon(painter, Icon.CARET_DOWN, QRectF(rect.right() - 26, 0, 16, rect.height()), t.text3, 12)

    def _fit(self) -> None:
        self.setFixedHeight(round(44 * max(1.0, theme().scale)))


class Rail(QWidget):
    """The navigation.

    Signals:
        page_chosen(str): its key.
        palette_wanted()
        projects_wanted(): the switcher was pressed.
    """

    page_chosen = Signal(str)
    palette_wanted = Signal()
    projects_wanted = Signal()

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._pages = sorted((page for page in PAGES.all().values() if page.is_in_rail), key=lambda page: page.order)
        self._items: dict[str, _Item] = {}
        self._mark, self.switcher = _Mark(), Switcher()
        self._palette_item = _Item(Icon.SEARCH, "Command", key_text("Ctrl+K"), checkable=False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 10)
        layout.setSpacing(2)
        layout.addWidget(self._mark)
        layout.addSpacing(10)
        layout.addWidget(self.switcher)
        layout.addSpacing(14)
        self._fill(layout)
        self.set_folded(False)
        self._connect()

    def select(self, key: str) -> None:
        """Show where one is."""
        for name, item in self._items.items():
            item.setChecked(name == key)

    def set_folded(self, is_folded: bool) -> None:
        """Icons only, or words too."""
        self.setFixedWidth(RAIL_FOLDED if is_folded else RAIL_WIDTH)
        for part in (self._mark, self.switcher):
            part.is_folded = is_folded
            part.update()
        for item in (*self._items.values(), self._palette_item):
            item.is_folded = is_folded
            item.setToolTip(item.text() if is_folded else "")
            item.update()

    def refresh(self) -> None:
        """Look at the facts again."""
        session = self._context.session
        for page in self._pages:
            live = session.live if page.key == "train" else None
            is_live = live is not None and not live.has_ended
            self._items[page.key].set_fact(page.fact(self._context), is_live=is_live)
            self._items[page.key].setEnabled(session.project is not None or not page.needs_project)
        if session.project is None or session.spec is None:
            self.switcher.say("No project", "Make or open one")
            return
        model = model_name(session.spec.model.source)
        count = len(session.runs)
        self.switcher.say(session.project.name, f"{model} · {count} run{'' if count == 1 else 's'}")

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = antialiased(self)
        painter.fillRect(self.rect(), tokens().rail)
        painter.fillRect(QRectF(self.width() - 1, 0, 1, self.height()), tokens().border)

    def _fill(self, layout: QVBoxLayout) -> None:
        for page in self._pages:
            if page.order == min((other.order for other in self._pages if other.order > 0), default=-1):
                layout.addSpacing(10)
            if page.order >= _FOOT:
                continue
            layout.addWidget(self._add(page))
        layout.addStretch(1)
        layout.addWidget(self._palette_item)
        for page in self._pages:
            if page.order >= _FOOT:
                layout.addWidget(self._add(page))

    def _add(self, page: Page) -> _Item:
        item = self._items[page.key] = _Item(page.icon, page.title)
        item.clicked.connect(lambda _=False, key=page.key: self.page_chosen.emit(key))
        return item

    def _connect(self) -> None:
        self._palette_item.clicked.connect(self.palette_wanted)
        self.switcher.clicked.connect(self.projects_wanted)
        session = self._context.session
        told = (session.project_changed, session.spec_changed, session.runs_changed, session.live_changed)
        for signal in (*told, session.rows_changed):
            signal.connect(self.refresh)
        session.live_changed.connect(self._follow_live)

    def _follow_live(self) -> None:
        if self._context.session.live is not None:
            self._context.session.live.changed.connect(self.refresh)
