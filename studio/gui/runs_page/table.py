"""The table's own keys and marks: a tick in the curve's colour, the state as a badge."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRectF, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import QHeaderView, QSizePolicy, QStyleOptionViewItem, QWidget

from studio.gui.controls import RowDelegate, Table
from studio.gui.controls.painting import edge_box, fill_box
from studio.gui.controls.surfaces import badge_colours
from studio.gui.icons import Icon, paint_icon
from studio.gui.runs_page.model import (
    HELD_OUT,
    METHOD,
    PEAK,
    RUN,
    SETTINGS,
    SLOT_ROLE,
    STATE,
    TICK,
    TIME,
    TONE_ROLE,
    Index,
    RunsModel,
)
from studio.gui.theme import font, icon_size, theme, tokens
from studio.gui.tokens import RADIUS_BADGE

_WIDTHS = {TICK: 44, RUN: 42, METHOD: 126, HELD_OUT: 76, PEAK: 74, TIME: 86, STATE: 98}
_LEAST_HEIGHT = 110
_WIDE = 800  # below it the time gives way to what differs; the run's details tell it


class _Delegate(RowDelegate):
    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        if index.column() == TICK:
            self.paint_back(painter, option, index)
            _paint_tick(painter, QRectF(option.rect), index.data(SLOT_ROLE))
        elif index.column() == STATE:
            self.paint_back(painter, option, index)
            _paint_badge(painter, QRectF(option.rect), str(index.data()), index.data(TONE_ROLE))
        else:
            super().paint(painter, option, index)


class RunsTable(Table):
    """Runs to tick, open and delete.

    Signals:
        opened(str), toggled(str), delete_wanted(str): the run's name.
    """

    opened = Signal(str)
    toggled = Signal(str)
    delete_wanted = Signal(str)

    def __init__(self, model: RunsModel, parent: QWidget | None = None) -> None:
        super().__init__(model, name="Runs", parent=parent)
        self._model = model
        self.setItemDelegate(_Delegate(self))
        header = self.horizontalHeader()
        header.setSectionResizeMode(SETTINGS, QHeaderView.ResizeMode.Stretch)
        header.setSortIndicator(RUN, Qt.SortOrder.DescendingOrder)
        self.setSortingEnabled(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._fit_columns()
        theme().changed.connect(self._fit_columns)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        self.setMinimumHeight(_LEAST_HEIGHT)
        self.doubleClicked.connect(lambda index: self.opened.emit(self._name(index.row())))

    def current_name(self) -> str:
        """The selected run's name, "" when none is."""
        row = self.currentIndex().row()
        return self._name(row) if row >= 0 else ""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        slot = {
            Qt.Key.Key_Return: self.opened,
            Qt.Key.Key_Enter: self.opened,
            Qt.Key.Key_Space: self.toggled,
            Qt.Key.Key_Delete: self.delete_wanted,
        }.get(Qt.Key(event.key()))
        if slot is not None and (name := self.current_name()):
            slot.emit(name)
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self.setColumnHidden(TIME, event.size().width() < _WIDE * theme().scale)
        super().resizeEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        index = self.indexAt(QPoint(event.position().toPoint()))
        super().mousePressEvent(event)
        if index.isValid() and index.column() == TICK and event.button() == Qt.MouseButton.LeftButton:
            self.toggled.emit(self._name(index.row()))

    def _fit_columns(self) -> None:
        for column, width in _WIDTHS.items():
            self.setColumnWidth(column, round(width * max(1.0, theme().scale)))

    def _name(self, row: int) -> str:
        entries = self._model.entries
        return entries[row].run.name if 0 <= row < len(entries) else ""


def _paint_tick(painter: QPainter, rect: QRectF, slot: int | None) -> None:
    from studio.gui.plots.overlay_plot import line_colour  # heavy: pyqtgraph, loaded before the table is shown

    t = tokens()
    size = icon_size()
    box = QRectF(rect.left() + 26 - size / 2, rect.center().y() + 0.5 - size / 2, size, size)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    if slot is None:
        fill_box(painter, box, 4, t.inset)
        edge_box(painter, box, 4, t.strong, 1.4)
    else:
        fill_box(painter, box, 4, line_colour(slot))
        paint_icon(painter, Icon.CHECK, box, t.surface, icon_size(12))
    painter.restore()


def _paint_badge(painter: QPainter, rect: QRectF, text: str, tone: str) -> None:
    fill, ink = badge_colours(tone)  # type: ignore[arg-type]
    words = QFontMetricsF(font("small_strong"))
    box = QRectF(rect.left() + 8, rect.center().y() - 10, words.horizontalAdvance(text) + 14, 20)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    fill_box(painter, box, RADIUS_BADGE, fill)
    painter.setFont(font("small_strong"))
    painter.setPen(ink)
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
    painter.restore()
