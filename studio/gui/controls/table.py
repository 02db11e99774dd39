"""The table: Qt's view over a model, with one delegate that paints rows of a fixed height and a rounded selection."""

from __future__ import annotations

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from studio.gui.controls.painting import fill_box
from studio.gui.controls.scroll import thin_scroll_bars
from studio.gui.theme import font, theme, tokens
from studio.gui.tokens import RADIUS_CONTROL, ROW_HEIGHT

Index = QModelIndex | QPersistentModelIndex


class RowDelegate(QStyledItemDelegate):
    """Paints one cell: text by a cached font, selection and hover across the whole row.

    A model says more by roles: FontRole for a role's name (str), ForegroundRole for a token's name (str).
    """

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        self.paint_back(painter, option, index)
        self.paint_text(painter, option, index)

    def paint_back(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """The part of the row's selection that lies behind this cell."""
        view = option.widget
        is_selected = bool(option.state & QStyle.StateFlag.State_Selected)
        is_hovered = isinstance(view, Table) and view.hovered_row == index.row()
        if not (is_selected or is_hovered) or not isinstance(view, QTableView):
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipRect(option.rect)
        row = QRectF(5, option.rect.top() + 0.5, view.viewport().width() - 10, option.rect.height() - 1)
        fill_box(painter, row, RADIUS_CONTROL, tokens().sel if is_selected else tokens().hover)
        painter.restore()

    def paint_text(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """The words, elided at the end."""
        text = index.data(Qt.ItemDataRole.DisplayRole)
        if text is None:
            return
        role = index.data(Qt.ItemDataRole.FontRole) or "body"
        tone = index.data(Qt.ItemDataRole.ForegroundRole) or "text"
        alignment = index.data(Qt.ItemDataRole.TextAlignmentRole) or Qt.AlignmentFlag.AlignLeft
        used = font(str(role))
        painter.setFont(used)
        painter.setPen(getattr(tokens(), str(tone)))
        box = option.rect.adjusted(10, 0, -10, 0)
        shown = QFontMetrics(used).elidedText(str(text), Qt.TextElideMode.ElideRight, box.width())
        painter.drawText(box, int(Qt.AlignmentFlag(alignment) | Qt.AlignmentFlag.AlignVCenter), shown)

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(80, ROW_HEIGHT)


class Header(QHeaderView):
    """Column heads: small words, a caret where it sorts, a hairline below."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setSectionsClickable(True)
        self.setHighlightSections(False)
        self.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.setFixedHeight(34)
        self.setMinimumSectionSize(28)

    def paintSection(self, painter: QPainter, rect: QRect, logicalIndex: int) -> None:  # noqa: N803 - Qt's own
        t = tokens()
        painter.fillRect(rect, t.surface)
        model = self.model()
        text = model.headerData(logicalIndex, Qt.Orientation.Horizontal, Qt.ItemDataRole.DisplayRole) or ""
        alignment = model.headerData(logicalIndex, Qt.Orientation.Horizontal, Qt.ItemDataRole.TextAlignmentRole)
        if self.isSortIndicatorShown() and self.sortIndicatorSection() == logicalIndex and text:
            text = f"{text} {'↑' if self.sortIndicatorOrder() == Qt.SortOrder.AscendingOrder else '↓'}"
        painter.setFont(font("caption"))
        painter.setPen(t.text3)
        flags = Qt.AlignmentFlag(alignment or Qt.AlignmentFlag.AlignLeft) | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(rect.adjusted(10, 0, -10, 0), int(flags), str(text))
        painter.fillRect(QRect(rect.left(), rect.bottom(), rect.width(), 1), t.border)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.fillRect(self.viewport().rect(), tokens().surface)
        painter.fillRect(QRect(0, self.height() - 1, self.width(), 1), tokens().border)
        painter.end()
        super().paintEvent(event)


class Table(QTableView):
    """A table of whole rows."""

    def __init__(
        self, model: QAbstractItemModel | None = None, *, name: str = "", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.hovered_row = -1
        self.setAccessibleName(name)
        thin_scroll_bars(self)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setMouseTracking(True)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setItemDelegate(RowDelegate(self))
        self.setHorizontalHeader(Header(self))
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self._dress()
        theme().changed.connect(self._dress)
        if model is not None:
            self.setModel(model)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._hover(self.rowAt(QPoint(event.position().toPoint()).y()))
        super().mouseMoveEvent(event)

    def leaveEvent(self, event: object) -> None:
        self._hover(-1)
        super().leaveEvent(event)  # type: ignore[arg-type]

    def _hover(self, row: int) -> None:
        if row != self.hovered_row:
            self.hovered_row = row
            self.viewport().update()

    def _dress(self) -> None:
        self.verticalHeader().setDefaultSectionSize(round(ROW_HEIGHT * max(1.0, theme().scale)))
        palette = self.palette()
        palette.setColor(palette.ColorRole.Base, tokens().surface)
        # The delegate paints the selection; the style's own would show at its edges.
        palette.setColor(palette.ColorRole.Highlight, Qt.GlobalColor.transparent)
        self.setPalette(palette)
        self.viewport().update()
