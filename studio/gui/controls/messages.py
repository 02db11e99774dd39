"""What a place says when it has nothing, is busy, or something went wrong; and banners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from PySide6.QtCore import QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QBrush, QColor, QHideEvent, QLinearGradient, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from studio.gui.controls.bars import Progress, track_colour
from studio.gui.controls.buttons import Button, IconButton
from studio.gui.controls.painting import antialiased, edge_box, fill_box
from studio.gui.controls.surfaces import Card
from studio.gui.controls.text import Text
from studio.gui.icons import Icon, paint_icon
from studio.gui.theme import at_text_size, theme, tokens
from studio.gui.tokens import CONTROL_GAP, RADIUS_BOX, mixed
from studio.spec.words import in_words

Action = tuple[str, Callable[[], object]]
BannerTone = Literal["info", "good", "warn", "danger"]
_WORDS_WIDTH = 620
_BANNER_ICONS = {"info": Icon.INFO, "good": Icon.CHECK_CIRCLE, "warn": Icon.WARNING, "danger": Icon.ERROR}


class Banner(QFrame):
    """A sentence that matters, with its way out as buttons."""

    def __init__(
        self,
        tone: BannerTone,
        title: str,
        text: str = "",
        actions: Sequence[Action] = (),
        *,
        leads: bool | None = None,
        on_close: Callable[[], object] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        """Make one.

        Args:
            tone: which colours.
            title: what happened.
            text: what is safe, and what to do.
            actions: (words, slot), the cheapest way out first.
            leads: whether the first of them is what to press now; None for where something is wrong. A page that
                shows several says so of one.
            on_close: called by its cross; without one there is no cross.
        """
        super().__init__(parent)
        self._tone = tone
        title, text = in_words(title), in_words(text)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(42, 10, 12, 10)
        layout.setSpacing(CONTROL_GAP)
        words = QVBoxLayout()
        words.setSpacing(2)
        layout.addLayout(words, 1)  # first: a label shown without a parent would be a window for a moment
        self.title = Text(title, "body_strong", wrap=True)
        words.addWidget(self.title)
        self.text = Text(text, "small", "text2", wrap=True)
        words.addWidget(self.text)
        self.text.setVisible(bool(text))
        self.leads = (tone == "danger" if leads is None else leads) and bool(actions)
        for at, (label, slot) in enumerate(actions):
            button = Button(label, "primary" if self.leads and at == 0 else "secondary", compact=True)
            button.clicked.connect(lambda _=False, slot=slot: slot())
            layout.addWidget(button)
        if on_close is not None:
            cross = IconButton(Icon.CLOSE, "Close this message")
            cross.clicked.connect(lambda: on_close())
            layout.addWidget(cross)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self.setAccessibleName(f"{title} {text}".strip())

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        fill, ink = {
            "info": (t.info_soft, t.info),
            "good": (t.accent_soft, t.accent_text),
            "warn": (t.warn_soft, t.warn),
            "danger": (t.danger_soft, t.danger),
        }[self._tone]
        rect = QRectF(self.rect())
        fill_box(painter, rect, RADIUS_BOX, fill)
        edge_box(painter, rect, RADIUS_BOX, mixed(fill, ink, 0.3))
        size = at_text_size(16)
        paint_icon(painter, _BANNER_ICONS[self._tone], QRectF(13, 9, 20, 24), ink, size)


class _IconTile(QWidget):
    def __init__(self, icon: Icon, tone: str = "accent") -> None:
        super().__init__()
        self._icon, self._tone = icon, tone
        self.setFixedSize(40, 40)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        soft, ink = (t.danger_soft, t.danger) if self._tone == "danger" else (t.accent_soft, t.accent_text)
        fill_box(painter, QRectF(self.rect()), RADIUS_BOX, soft)
        paint_icon(painter, self._icon, self.rect(), ink, 20)


class EmptyState(Card):
    """Nothing here yet: what would be, and the button that brings it."""

    def __init__(
        self, icon: Icon, title: str, text: str, actions: Sequence[Action] = (), *, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent=parent)
        self.setAccessibleName(title)
        self.body.addStretch(1)
        tile = _IconTile(icon)
        self.body.addWidget(tile, 0, Qt.AlignmentFlag.AlignHCenter)
        self.title.setText(title)
        self.body.addWidget(self.title, 0, Qt.AlignmentFlag.AlignHCenter)
        self.text = Text(text, "body", "text2", wrap=True)
        self.text.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.text.setMaximumWidth(420)
        self.body.addLayout(_in_the_middle(self.text))
        self.buttons: list[Button] = []
        row = QHBoxLayout()
        row.setSpacing(CONTROL_GAP)
        row.addStretch(1)
        for at, (label, slot) in enumerate(actions):
            button = Button(label, "primary" if at == 0 else "quiet")
            button.clicked.connect(lambda _=False, slot=slot: slot())
            self.buttons.append(button)
            row.addWidget(button)
        row.addStretch(1)
        self.body.addLayout(row)
        self.body.addStretch(1)


class ErrorState(Card):
    """Something went wrong: what happened, what is safe, what to do. In the middle, as what is empty is."""

    def __init__(
        self, title: str = "", text: str = "", actions: Sequence[Action] = (), *, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent=parent)
        self.text = Text("", "body", "text2", wrap=True, selectable=True)
        self._row = QHBoxLayout()
        self._row.setContentsMargins(0, 4, 0, 0)
        self._row.setSpacing(CONTROL_GAP)
        self.body.addStretch(1)
        self.body.addWidget(_IconTile(Icon.ERROR, "danger"), 0, Qt.AlignmentFlag.AlignHCenter)
        self.title.setWordWrap(True)
        for words in (self.title, self.text):
            words.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            words.setMaximumWidth(_WORDS_WIDTH)
            self.body.addLayout(_in_the_middle(words))
        self.body.addLayout(self._row)
        self.body.addStretch(1)
        self.say(title, text, actions)

    def say(self, title: str, text: str, actions: Sequence[Action] = ()) -> None:
        """Tell something else."""
        title, text = in_words(title), in_words(text)
        self.setAccessibleName(title)
        self.title.say(title)
        self.text.say(text)
        while (item := self._row.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        self._row.addStretch(1)
        for at, (label, slot) in enumerate(actions):
            button = Button(label, "primary" if at == 0 else "secondary")
            button.clicked.connect(lambda _=False, slot=slot: slot())
            self._row.addWidget(button)
        self._row.addStretch(1)


def _in_the_middle(widget: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.addStretch(1)
    row.addWidget(widget, 1000)
    row.addStretch(1)
    return row


class Skeleton(QWidget):
    """Grey bars of the shape that is to come, with a slow shimmer that starts late so that quick things never flash."""

    _WIDTHS = (1.0, 0.86, 0.94, 0.62)

    def __init__(self, lines: int = 4, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lines = lines
        self._phase = 0.0
        self._timer = QTimer(self)
        self._timer.setInterval(50)
        self._timer.timeout.connect(self._on_tick)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(200, 19 * self._lines)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._phase = -150 / 1400
        if theme().moves:
            self._timer.start()

    def hideEvent(self, event: QHideEvent) -> None:
        self._timer.stop()
        super().hideEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = antialiased(self)
        for line in range(self._lines):
            width = self.width() * self._WIDTHS[line % len(self._WIDTHS)]
            fill_box(painter, QRectF(0, line * 19 + 4, width, 10), 5, self._brush())

    def _brush(self) -> QBrush:
        base, light = track_colour(), mixed(track_colour(), tokens().text, 0.08)
        gradient = QLinearGradient(0, 0, max(1, self.width()), 0)
        gradient.setColorAt(0, base)
        if 0 < self._phase < 1:
            gradient.setColorAt(self._phase, QColor(light))
        gradient.setColorAt(1, base)
        return QBrush(gradient)

    def _on_tick(self) -> None:
        self._phase += 50 / 1400
        if self._phase > 1:
            self._phase = 0.0
        self.update()


class BusyState(Card):
    """Something is on its way: what, how far, how long, and a way to stop it."""

    def __init__(
        self, title: str = "", *, on_cancel: Callable[[], object] | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(title or " ", parent=parent)
        self.amount = Text("", "body", "text2")
        self.header.addWidget(self.amount)
        self.bar = Progress(name=title)
        self.body.addWidget(self.bar)
        self.body.addWidget(Skeleton())
        self.body.addStretch(1)
        foot = QHBoxLayout()
        self.note = Text("", "small", "text3")
        foot.addWidget(self.note)
        foot.addStretch(1)
        if on_cancel is not None:
            cancel = Button("Cancel", "quiet", compact=True)
            cancel.clicked.connect(lambda: on_cancel())
            foot.addWidget(cancel)
        self.body.addLayout(foot)

    def say(self, title: str, amount: str = "", share: float | None = None, note: str = "") -> None:
        """How far it is."""
        self.title.say(title)
        self.setAccessibleName(title)
        self.amount.say(amount)
        self.bar.set_share(share)
        self.note.say(note)


class States(QStackedWidget):
    """A place that is empty, busy, wrong or full: one view at a time, by name."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: dict[str, QWidget] = {}

    def add(self, name: str, widget: QWidget) -> QWidget:
        """Add a view; the first one added is shown."""
        self._names[name] = widget
        self.addWidget(widget)
        return widget

    def show_state(self, name: str) -> None:
        """Show a view."""
        self.setCurrentWidget(self._names[name])

    def state(self) -> str:
        """Name of the view that is shown."""
        return next(name for name, widget in self._names.items() if widget is self.currentWidget())
