"""Switch, check, radio and segment: on, off, and one of several."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QButtonGroup, QCheckBox, QHBoxLayout, QRadioButton, QSizePolicy, QWidget

from studio.gui.controls.painting import KeyboardFocus, antialiased, edge_box, fill_box, focus_ring
from studio.gui.icons import Icon, paint_icon
from studio.gui.theme import font, icon_size, theme, tokens
from studio.gui.tokens import COMPACT_HEIGHT, RADIUS_CONTROL, mixed


class Switch(KeyboardFocus, QAbstractButton):
    """On or off, at once. `toggled(bool)` is Qt's own signal."""

    def __init__(self, name: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setCheckable(True)
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def sizeHint(self) -> QSize:
        return QSize(34, 28)

    def paintEvent(self, event: QPaintEvent) -> None:
        t, painter = tokens(), antialiased(self)
        track = QRectF(0, (self.height() - 20) / 2, 34, 20)
        if self.shows_focus:
            edge_box(painter, track.adjusted(-0, -2, 0, 2), 12, t.accent, 2)
            track = track.adjusted(3, 1, -3, -1)
        fill = t.accent if self.isChecked() else mixed(t.strong, t.surface, 0.35)
        fill_box(painter, track, track.height() / 2, fill if self.isEnabled() else t.hover)
        knob = track.height() - 4
        left = track.right() - knob - 2 if self.isChecked() else track.left() + 2
        ink = (t.on_accent if t.is_dark else QColor("white")) if self.isChecked() else QColor("white")
        fill_box(painter, QRectF(left, track.top() + 2, knob, knob), knob / 2, ink)


class _Mark(KeyboardFocus):
    """What check and radio share: a mark as high as a line, and words beside it."""

    def sizeHint(self) -> QSize:
        words = QFontMetricsF(font("body")).horizontalAdvance(self.text())  # type: ignore[attr-defined]
        return QSize(round(words) + icon_size() + (10 if words else 4), COMPACT_HEIGHT)

    minimumSizeHint = sizeHint

    def hitButton(self, position: object) -> bool:
        return True

    def _box(self) -> QRectF:
        size = icon_size()
        return QRectF(1, (self.height() - size) / 2, size, size)  # type: ignore[attr-defined]

    def _paint_words(self, painter: QPainter) -> None:
        widget: QAbstractButton = self  # type: ignore[assignment]
        room = QRectF(widget.rect()).adjusted(icon_size() + 9, 0, 0, 0)
        painter.setFont(font("body"))
        painter.setPen(tokens().text if widget.isEnabled() else tokens().text3)
        painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, widget.text())


class Check(_Mark, QCheckBox):
    """A box to tick."""

    def paintEvent(self, event: QPaintEvent) -> None:
        t, painter = tokens(), antialiased(self)
        box = self._box()
        if self.isChecked():
            fill_box(painter, box, 4, t.accent if self.isEnabled() else t.strong)
            paint_icon(painter, Icon.CHECK, box, t.on_accent, icon_size(12))
        else:
            fill_box(painter, box, 4, t.inset)
            edge_box(painter, box, 4, t.strong, 1.4)
        if self.shows_focus:
            edge_box(painter, box.adjusted(-3, -3, 3, 3).intersected(QRectF(self.rect())), 6, t.accent, 2)
        self._paint_words(painter)


class Radio(_Mark, QRadioButton):
    """One of several."""

    def paintEvent(self, event: QPaintEvent) -> None:
        t, painter = tokens(), antialiased(self)
        box = self._box()
        paint_radio(painter, box, is_on=self.isChecked())
        if self.shows_focus:
            edge_box(painter, box.adjusted(-3, -3, 3, 3).intersected(QRectF(self.rect())), 11, t.accent, 2)
        self._paint_words(painter)


def paint_radio(painter: QPainter, box: QRectF, *, is_on: bool) -> None:
    """The mark of a radio button, for cards that are one."""
    t = tokens()
    if is_on:
        fill_box(painter, box, box.width() / 2, t.accent)
        dot = box.width() * 5 / 16
        fill_box(painter, box.adjusted(dot, dot, -dot, -dot), dot, t.on_accent)
        return
    painter.setBrush(t.inset)
    painter.setPen(QPen(t.strong, 1.4))
    painter.drawEllipse(box.adjusted(0.7, 0.7, -0.7, -0.7))


class _SegmentButton(KeyboardFocus, QAbstractButton):
    def __init__(self, text: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setText(text)
        self.setCheckable(True)
        self.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def sizeHint(self) -> QSize:
        width = round(QFontMetricsF(font("small_strong")).horizontalAdvance(self.text()))
        return QSize(width + 24, round(COMPACT_HEIGHT * max(1.0, theme().scale)))

    minimumSizeHint = sizeHint

    def paintEvent(self, event: QPaintEvent) -> None:
        t, painter = tokens(), antialiased(self)
        rect = QRectF(self.rect()).adjusted(2, 2, -2, -2)
        if self.isChecked():
            fill_box(painter, rect, RADIUS_CONTROL - 2, t.hover if t.is_dark else t.surface)
            if not t.is_dark:
                edge_box(painter, rect, RADIUS_CONTROL - 2, t.border)
        if self.shows_focus:
            focus_ring(painter, rect, RADIUS_CONTROL - 2)
        painter.setFont(font("small_strong"))
        painter.setPen(t.text if self.isChecked() else t.text2 if self.isEnabled() else t.text3)
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, self.text())


class Segment(QWidget):
    """One of a few words in a row.

    Signals:
        chosen(str): the key, when the person chose another; not when it was set.
    """

    chosen = Signal(str)

    def __init__(
        self, options: Sequence[tuple[str, str]], *, name: str = "", chosen: str = "", parent: QWidget | None = None
    ) -> None:
        """Make one.

        Args:
            options: (key, words) from left to right.
            name: what is chosen, for assistive technology.
            chosen: key of the one that is on; the first when empty.
        """
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(1, 1, 1, 1)
        layout.setSpacing(0)
        self._group = QButtonGroup(self)
        self._buttons: dict[str, QAbstractButton] = {}
        for key, text in options:
            button = _SegmentButton(text, self)
            button.setAccessibleName(f"{name}: {text}" if name else text)
            self._buttons[key] = button
            self._group.addButton(button)
            layout.addWidget(button)
        self._group.buttonClicked.connect(self._on_clicked)
        self.set_chosen(chosen or next(iter(self._buttons)))

    def chosen_key(self) -> str:
        """The key that is on."""
        return next(key for key, button in self._buttons.items() if button.isChecked())

    def set_chosen(self, key: str) -> None:
        """Put one on, silently."""
        self._buttons[key].setChecked(True)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
            return
        keys = list(self._buttons)
        at = (keys.index(self.chosen_key()) + step) % len(keys)
        self._buttons[keys[at]].setFocus(Qt.FocusReason.TabFocusReason)
        self._buttons[keys[at]].click()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = antialiased(self)
        fill_box(painter, QRectF(self.rect()), RADIUS_CONTROL, tokens().inset if tokens().is_dark else tokens().hover)
        edge_box(painter, QRectF(self.rect()), RADIUS_CONTROL, tokens().border)

    def _on_clicked(self, clicked: QAbstractButton) -> None:
        self.chosen.emit(next(key for key, button in self._buttons.items() if button is clicked))
