"""Messages in passing: at most three, at the lower right; they stay while pointed at and can carry one action."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QPoint, QRectF, QTimer, Signal
from PySide6.QtGui import QEnterEvent, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from studio.gui.context import ToastAction, Tone
from studio.gui.controls import Button, IconButton, Text
from studio.gui.controls.dialogs import SHADOW, paint_floating
from studio.gui.controls.painting import antialiased
from studio.gui.icons import Icon, paint_icon
from studio.gui.theme import at_text_size, icon_size, tokens
from studio.spec.words import in_words

_STAY_MS = 6000
_MOST = 3
_ICONS = {"info": Icon.INFO, "good": Icon.CHECK_CIRCLE, "warn": Icon.WARNING, "danger": Icon.ERROR}


class _Toast(QWidget):
    """One message.

    Signals:
        over(object): it is to go.
    """

    over = Signal(object)

    def __init__(self, text: str, detail: str, tone: Tone, action: ToastAction | None, parent: QWidget) -> None:
        super().__init__(parent)
        self._tone = tone
        self.setAccessibleName(f"{text} {detail}".strip())
        layout = self.rows = QHBoxLayout(self)
        layout.setContentsMargins(SHADOW + 24 + icon_size(), SHADOW + 10, SHADOW + 8, SHADOW + 10)
        words = QVBoxLayout()
        words.setSpacing(1)
        words.addWidget(Text(text, "body_strong", wrap=True))
        if detail:
            words.addWidget(Text(detail, "small", "text2", wrap=True))
        layout.addLayout(words, 1)
        if action is not None:
            button = Button(action[0], "quiet", compact=True)
            button.clicked.connect(lambda: action[1]())
            button.clicked.connect(lambda: self.over.emit(self))
            layout.addWidget(button)
        cross = IconButton(Icon.CLOSE, "Close this message")
        cross.clicked.connect(lambda: self.over.emit(self))
        layout.addWidget(cross)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_STAY_MS)
        self._timer.timeout.connect(self._on_time)
        self._timer.start()

    def fit(self, width: int) -> None:
        """Take a width, and the height that the words need in it."""
        for _ in range(2):  # wrapped words know their height only once they have their width
            self.setFixedSize(width, self.rows.totalHeightForWidth(width))
            self.rows.activate()

    def enterEvent(self, event: QEnterEvent) -> None:
        self._timer.stop()

    def leaveEvent(self, event: QEvent) -> None:
        self._timer.start()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        rect = QRectF(self.rect()).adjusted(SHADOW, SHADOW, -SHADOW, -SHADOW)
        paint_floating(painter, rect)
        ink = {"info": t.info, "good": t.accent_text, "warn": t.warn, "danger": t.danger}[self._tone]
        size = icon_size()
        paint_icon(painter, _ICONS[self._tone], QRectF(rect.left() + 14, rect.top(), size, rect.height()), ink, size)

    def _on_time(self) -> None:
        if self.isAncestorOf(self.focusWidget() or self) and self.focusWidget() is not None:
            self._timer.start()
        else:
            self.over.emit(self)


class Toasts(QObject):
    """Keeps the messages of a window in their place."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._shown: list[_Toast] = []

    def show(self, text: str, detail: str, tone: Tone, action: ToastAction | None) -> None:
        """Tell something."""
        toast = _Toast(in_words(text), in_words(detail), tone, action, self._window)
        toast.over.connect(self._on_over)
        self._shown.append(toast)
        while len(self._shown) > _MOST:
            self._on_over(self._shown[0])
        toast.show()
        self.place()

    def place(self) -> None:
        """Put them where they belong; called when the window's size changes."""
        bottom = self._window.height() - 34
        for toast in reversed(self._shown):
            toast.fit(min(at_text_size(400), self._window.width() - 40) + 2 * SHADOW)
            bottom -= toast.height() - SHADOW
            toast.move(QPoint(self._window.width() - toast.width() - 8, bottom))
            toast.raise_()

    def texts(self) -> list[str]:
        """What is shown, oldest first."""
        return [toast.accessibleName() for toast in self._shown]

    def clear(self) -> None:
        """Take all away."""
        for toast in list(self._shown):
            self._on_over(toast)

    def _on_over(self, toast: _Toast) -> None:
        if toast in self._shown:
            self._shown.remove(toast)
            toast.hide()
            toast.deleteLater()
            self.place()
