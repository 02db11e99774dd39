"""The foot: back, why one cannot go on, the way round it, and on."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Signal
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from studio.gui.controls import Button, Progress, Text
from studio.gui.controls.painting import antialiased
from studio.gui.icons import Icon, paint_icon
from studio.gui.theme import at_text_size, tokens
from studio.spec.wizard import Gate
from studio.spec.words import in_words


class _Reason(QWidget):
    """An icon and a sentence."""

    def __init__(self) -> None:
        super().__init__()
        self._icon: Icon | None = None
        self._tone = "danger"
        layout = QHBoxLayout(self)
        layout.setContentsMargins(24, 0, 0, 0)
        self.text = Text("", "small", "text2", wrap=True)  # two lines are no higher than the buttons beside them
        layout.addWidget(self.text)

    def say(self, words: str, icon: Icon | None = None, tone: str = "danger") -> None:
        """Say another one; "" for nothing."""
        self._icon, self._tone = icon if words else None, tone
        words = in_words(words)
        self.text.say(words)
        self.text.setToolTip(words)
        # As wide as its words, so that it stands beside the buttons; narrower where there is no room.
        self.setMaximumWidth(self.text.fontMetrics().horizontalAdvance(words) + 30)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._icon is not None:
            box = QRectF(0, 0, 20, self.height())
            paint_icon(antialiased(self), self._icon, box, getattr(tokens(), self._tone), at_text_size(16))


class Foot(QWidget):
    """The buttons below every step.

    Signals:
        back(), on(), anyway(), cancelled(): what was pressed.
    """

    back = Signal()
    on = Signal()
    anyway = Signal()
    cancelled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.back_button = Button("Back")
        self.reason = _Reason()
        self.bar = Progress(name="Getting ready")
        self.anyway_button = Button("Try anyway", "quiet")
        self.cancel_button = Button("Cancel", "quiet")
        self.on_button = Button("Continue", "primary")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        row.addWidget(self.back_button)
        row.addStretch(1)
        row.addWidget(self.reason, 99)
        row.addWidget(self.bar, 2)
        for button in (self.anyway_button, self.cancel_button, self.on_button):
            row.addWidget(button)
        self.back_button.clicked.connect(self.back)
        self.on_button.clicked.connect(self.on)
        self.anyway_button.clicked.connect(self.anyway)
        self.cancel_button.clicked.connect(self.cancelled)
        self.show_starting(None)

    def show_gate(self, gate: Gate, *, is_first: bool, is_last: bool) -> None:
        """Show whether one may go on, and why not."""
        self.back_button.setEnabled(not is_first)
        self.on_button.setText("Start training" if is_last else "Continue")
        self.on_button.set_glyph(Icon.PLAY if is_last else None)
        self.on_button.setEnabled(gate.is_open)
        self.anyway_button.setVisible(gate.may_override)
        icon, tone = (Icon.WARNING, "warn") if gate.is_open else (Icon.ERROR, "danger")
        self.reason.say(gate.reason, icon, tone)

    def show_starting(self, words: str | None, share: float | None = None) -> None:
        """A run is being made ready, or (None) it is not."""
        is_starting = words is not None
        self.bar.setVisible(is_starting)
        self.cancel_button.setVisible(is_starting)
        if is_starting:
            self.bar.set_share(share)
            self.reason.say(words or "", Icon.SPINNER, "text3")
            for button in (self.back_button, self.on_button):
                button.setEnabled(False)
            self.anyway_button.hide()
