"""The six steps in a row: done ones carry a tick, the current one its number on the accent, closed ones are dim."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QHBoxLayout, QSizePolicy, QWidget

from studio.gui.controls.painting import KeyboardFocus, antialiased, edge_box, fill_box
from studio.gui.icons import Icon, paint_icon
from studio.gui.theme import font, theme, tokens
from studio.spec.wizard import StepView

_MARK, _DASH, _GAP = 16, 20, 10
_SAYS = {"done": "done", "current": "current step", "open": "may be opened", "closed": "not yet"}


class StepButton(KeyboardFocus, QAbstractButton):
    """One step."""

    def __init__(self, view: StepView, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view = view
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.show_view(view)
        theme().changed.connect(self.updateGeometry)

    def show_view(self, view: StepView) -> None:
        """Show the step as it stands now."""
        self.view = view
        self.setText(view.title)
        self.setEnabled(view.state != "closed")
        self.setAccessibleName(f"Step {view.number}: {view.title}, {_SAYS[view.state]}")
        self.update()

    def sizeHint(self) -> QSize:
        words = QFontMetricsF(font("small_strong")).horizontalAdvance(self.view.title)
        dash = 0 if self.view.number == 1 else _DASH + _GAP
        return QSize(round(words) + _MARK + 8 + dash + _GAP, 22)

    minimumSizeHint = sizeHint

    def paintEvent(self, event: QPaintEvent) -> None:
        t, painter = tokens(), antialiased(self)
        left = 0.0
        if self.view.number > 1:
            painter.fillRect(QRectF(0, self.height() / 2, _DASH, 1), t.strong if t.is_dark else t.border.darker(112))
            left = _DASH + _GAP
        self._paint_mark(painter, QRectF(left, (self.height() - _MARK) / 2, _MARK, _MARK))
        is_current = self.view.state == "current"
        painter.setFont(font("small_strong"))
        painter.setPen(t.text if is_current else t.text3 if self.view.state == "closed" else t.text2)
        words = QRectF(left + _MARK + 8, 0, self.width(), self.height())
        painter.drawText(words, Qt.AlignmentFlag.AlignVCenter, self.view.title)
        if self.shows_focus:
            edge_box(painter, QRectF(self.rect()).adjusted(max(0.0, left - 4), 0, 0, 0), 5, t.accent, 2)

    def _paint_mark(self, painter: QPainter, box: QRectF) -> None:
        t = tokens()
        has_problem = any(problem.is_fatal for problem in self.view.problems)
        if has_problem and self.view.state != "current":
            paint_icon(painter, Icon.ERROR, box, t.danger, _MARK)
        elif self.view.state == "done":
            paint_icon(painter, Icon.CHECK_CIRCLE, box, t.accent, _MARK)
        else:
            is_current = self.view.state == "current"
            if is_current:
                fill_box(painter, box, _MARK / 2, t.accent)
            else:
                edge_box(painter, box, _MARK / 2, t.strong, 1.2)
            painter.setFont(font("caption"))
            painter.setPen(t.on_accent if is_current else t.text3)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, str(self.view.number))


class StepBar(QWidget):
    """All steps.

    Signals:
        chosen(str): the key of the step that was pressed.
    """

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Steps")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(0)
        self.buttons: dict[str, StepButton] = {}

    def show_steps(self, views: tuple[StepView, ...]) -> None:
        """Show the steps as they stand now."""
        if not self.buttons:
            for view in views:
                button = StepButton(view)
                button.clicked.connect(lambda _=False, key=view.key: self.chosen.emit(key))
                self.buttons[view.key] = button
                self._row.addWidget(button)
            self._row.addStretch(1)
        for view in views:
            self.buttons[view.key].show_view(view)
