"""Fields to write into, number fields and choices: Qt's own behaviour with our painting."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPalette, QValidator, QWheelEvent
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QDoubleSpinBox,
    QLineEdit,
    QListView,
    QPlainTextEdit,
    QSizePolicy,
    QSpinBox,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from studio.gui.controls.painting import antialiased, edge_box, fill_box
from studio.gui.controls.scroll import thin_scroll_bars
from studio.gui.icons import Icon, paint_icon, qicon
from studio.gui.theme import font, icon_size, theme, tokens
from studio.gui.tokens import COMPACT_HEIGHT, CONTROL_HEIGHT, RADIUS_CONTROL
from studio.sizes import human_number

_UNIT_GAP = 10


def paint_field(widget: QWidget, *, focused: bool, wrong: bool) -> QPainter:
    """The box of a field, and the painter to go on with."""
    t, painter = tokens(), antialiased(widget)
    rect = QRectF(widget.rect())
    fill_box(painter, rect, RADIUS_CONTROL, t.inset if widget.isEnabled() else t.bg)
    colour: QColor = t.danger if wrong else t.accent if focused else t.field_edge
    edge_box(painter, rect, RADIUS_CONTROL, colour, 2 if focused or wrong else 1)
    return painter


def _bare(widget: QWidget) -> None:
    """Nothing of the style's own shows behind our box."""
    palette = QPalette(widget.palette())
    palette.setColor(QPalette.ColorRole.Base, QColor(0, 0, 0, 0))
    widget.setPalette(palette)


class Field(QLineEdit):
    """One line of text, with a unit behind it or an icon before it."""

    def __init__(
        self,
        placeholder: str = "",
        *,
        unit: str = "",
        icon: Icon | None = None,
        name: str = "",
        parent: QWidget | None = None,
    ) -> None:
        """Make one.

        Args:
            placeholder: shown while it is empty.
            unit: shown behind the value.
            icon: shown before it.
            name: for assistive technology; the placeholder when empty.
        """
        super().__init__(parent)
        self._unit, self._icon, self._wrong = unit, icon, False
        self.setFrame(False)
        self.setPlaceholderText(placeholder)
        self.setAccessibleName(name or placeholder)
        self._dress()
        theme().changed.connect(self._dress)

    def set_wrong(self, wrong: bool) -> None:
        """Show that what stands here cannot be used."""
        self._wrong = wrong
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), round(CONTROL_HEIGHT * max(1.0, theme().scale)))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = paint_field(self, focused=self.hasFocus(), wrong=self._wrong)
        painter.setPen(tokens().text3)
        if self._icon:
            paint_icon(painter, self._icon, QRectF(10, 0, icon_size(), self.height()), tokens().text3, icon_size())
        if self._unit:
            painter.setFont(font("small"))
            right = QRectF(self.rect()).adjusted(0, 0, -_UNIT_GAP, 0)
            painter.drawText(right, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, self._unit)
        painter.end()
        super().paintEvent(event)

    def _dress(self) -> None:
        self.setFont(font("body"))
        _bare(self)
        right = round(QFontMetricsF(font("small")).horizontalAdvance(self._unit)) + _UNIT_GAP if self._unit else 0
        self.setTextMargins(16 + icon_size() if self._icon else 8, 0, right + 8, 0)


class TextBox(QPlainTextEdit):
    """Several lines of text."""

    def __init__(self, placeholder: str = "", *, name: str = "", lines: int = 3, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lines = lines
        thin_scroll_bars(self)
        self.setFrameShape(QPlainTextEdit.Shape.NoFrame)
        self.setPlaceholderText(placeholder)
        self.setAccessibleName(name or placeholder)
        self.setTabChangesFocus(True)
        self.setViewportMargins(6, 4, 6, 4)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._dress()
        theme().changed.connect(self._dress)

    def sizeHint(self) -> QSize:
        return QSize(240, round(self.fontMetrics().lineSpacing() * self._lines + 22))

    def event(self, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            self.update()
        if event.type() == QEvent.Type.Paint:
            paint_field(self, focused=self.hasFocus(), wrong=False).end()
            return True
        return super().event(event)

    def _dress(self) -> None:
        self.setFont(font("body"))
        _bare(self)
        self.viewport().setAutoFillBackground(False)
        self.updateGeometry()


class _NumberField:
    """What both number fields share: our box, carets at the right, a wheel that acts only with the focus."""

    _wrong = False
    _unit = ""

    def _set_up(self, unit: str, name: str) -> None:
        widget: QAbstractSpinBox = self  # type: ignore[assignment]
        self._unit = unit
        widget.setFrame(False)
        widget.setAccessibleName(name)
        widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        widget.setKeyboardTracking(False)
        widget.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._dress()
        theme().changed.connect(self._dress)

    def _dress(self) -> None:
        widget: QAbstractSpinBox = self  # type: ignore[assignment]
        widget.setFont(font("body"))
        _bare(widget)
        _bare(widget.lineEdit())
        unit = round(QFontMetricsF(font("small")).horizontalAdvance(self._unit)) + 6 if self._unit else 0
        widget.lineEdit().setTextMargins(7, 0, unit, 0)

    def set_wrong(self, wrong: bool) -> None:
        """Show that what stands here cannot be used."""
        self._wrong = wrong
        self.update()  # type: ignore[attr-defined]

    def sizeHint(self) -> QSize:
        return QSize(112 if not self._unit else 132, round(CONTROL_HEIGHT * max(1.0, theme().scale)))

    minimumSizeHint = sizeHint

    def wheelEvent(self, event: QWheelEvent) -> None:
        # Scrolling a page must not change a setting that passes under the pointer.
        if self.hasFocus():  # type: ignore[attr-defined]
            super().wheelEvent(event)  # type: ignore[misc]
        else:
            event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:
        widget: QAbstractSpinBox = self  # type: ignore[assignment]
        painter = paint_field(widget, focused=widget.hasFocus(), wrong=self._wrong)
        right = widget.width() - 20
        ink = tokens().text3
        paint_icon(painter, Icon.CARET_UP, QRectF(right, widget.height() / 2 - 11, 12, 10), ink, 10)
        paint_icon(painter, Icon.CARET_DOWN, QRectF(right, widget.height() / 2 + 1, 12, 10), ink, 10)
        if self._unit:
            painter.setFont(font("small"))
            painter.setPen(ink)
            box = QRectF(0, 0, right - 6, widget.height())
            painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, self._unit)


class Number(_NumberField, QSpinBox):
    """A whole number. `valueChanged(int)` comes when it is finished, not at every key."""

    def __init__(
        self, low: int = 0, high: int = 2**31 - 1, *, unit: str = "", name: str = "", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setRange(low, min(high, 2**31 - 1))
        self.setGroupSeparatorShown(True)
        self._set_up(unit, name)


class Decimal(_NumberField, QDoubleSpinBox):
    """A number with a fraction, written as short as it can be (0.02, 2e-5)."""

    def __init__(
        self,
        low: float = 0.0,
        high: float = 1e12,
        *,
        decimals: int = 12,
        unit: str = "",
        name: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setDecimals(decimals)
        self.setRange(low, high)
        self.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
        self._set_up(unit, name)

    def textFromValue(self, value: float) -> str:
        return human_number(value, 10)

    def valueFromText(self, text: str) -> float:
        try:
            return float(text.replace(",", "."))
        except ValueError:
            return self.value()

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        return QValidator.State.Acceptable if _is_number(text) else QValidator.State.Intermediate, text, position


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


class Choice(QComboBox):
    """One of several, in a list that opens.

    Signals:
        chosen(str): the key, when the person chose another; not when it was set.
    """

    chosen = Signal(str)

    def __init__(
        self,
        *,
        name: str = "",
        placeholder: str = "",
        icon: Icon | None = None,
        compact: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._icon = icon
        self._height = COMPACT_HEIGHT if compact else CONTROL_HEIGHT
        self.setAccessibleName(name or placeholder)
        self.setPlaceholderText(placeholder)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        view = QListView(self)
        thin_scroll_bars(view)
        view.setItemDelegate(MenuDelegate(view))
        self.setView(view)
        self.activated.connect(self._on_activated)

    def add(self, key: str, text: str, *, icon: Icon | None = None, hint: str = "") -> None:
        """Add an entry; `hint` is its tool tip."""
        if icon is not None:
            self.addItem(qicon(icon, tokens().text2), text, key)
        else:
            self.addItem(text, key)
        if hint:
            self.setItemData(self.count() - 1, hint, Qt.ItemDataRole.ToolTipRole)

    def chosen_key(self) -> str:
        """The key that is on, "" when none is."""
        return str(self.currentData() or "")

    def set_chosen(self, key: str) -> None:
        """Put one on, silently; a key that is not there puts none on."""
        self.setCurrentIndex(self.findData(key))

    def sizeHint(self) -> QSize:
        metrics = QFontMetricsF(font("body"))
        widest = max((metrics.horizontalAdvance(self.itemText(at)) for at in range(self.count())), default=60)
        icon = 8 + icon_size() if self._icon else 0
        return QSize(round(widest) + 46 + icon, round(self._height * max(1.0, theme().scale)))

    def minimumSizeHint(self) -> QSize:
        return QSize(72, self.sizeHint().height())

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()  # scrolling a page must not change a choice that passes under the pointer

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = paint_field(self, focused=self.hasFocus(), wrong=False)
        left = 12.0
        if self._icon:
            paint_icon(painter, self._icon, QRectF(10, 0, icon_size(), self.height()), tokens().text3, icon_size())
            left = 18.0 + icon_size()
        painter.setFont(font("body"))
        has_value = self.currentIndex() >= 0
        painter.setPen(tokens().text if has_value and self.isEnabled() else tokens().text3)
        box = QRectF(left, 0, self.width() - left - 30, self.height())
        text = self.currentText() if has_value else self.placeholderText()
        shown = QFontMetricsF(font("body")).elidedText(text, Qt.TextElideMode.ElideRight, box.width())
        painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, shown)
        caret = QRectF(self.width() - 26, 0, 16, self.height())
        paint_icon(painter, Icon.CARET_DOWN, caret, tokens().text3, icon_size(12))

    def _on_activated(self, index: int) -> None:
        self.chosen.emit(str(self.itemData(index)))


class MenuDelegate(QStyledItemDelegate):
    """Rows of an opened list: 32 px, a rounded highlight, no system chrome."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)

    def sizeHint(self, option: QStyleOptionViewItem, index: object) -> QSize:
        return QSize(super().sizeHint(option, index).width() + 24, CONTROL_HEIGHT)  # type: ignore[arg-type]

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: object) -> None:
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(option.rect)
        is_on = bool(option.state & (QStyle.StateFlag.State_Selected | QStyle.StateFlag.State_MouseOver))
        if is_on:
            fill_box(painter, rect.adjusted(4, 1, -4, -1), RADIUS_CONTROL - 2, tokens().sel)
        painter.setFont(font("body"))
        enabled = bool(option.state & QStyle.StateFlag.State_Enabled)
        painter.setPen(tokens().text if enabled else tokens().text3)
        text = index.data(Qt.ItemDataRole.DisplayRole)  # type: ignore[attr-defined]
        painter.drawText(rect.adjusted(12, 0, -8, 0), Qt.AlignmentFlag.AlignVCenter, str(text))
        painter.restore()
