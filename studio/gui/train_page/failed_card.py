"""A run that could not go on: what happened, what is safe, and the ways to go on, cheapest first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from studio.gui.controls import Button, Card, Hairline, Text
from studio.gui.icons import Icon
from studio.gui.train_page.health_card import Glyph


@dataclass(frozen=True)
class WayOut:
    """A button and what it does."""

    title: str
    effect: str
    button: str
    slot: Callable[[], object]
    icon: Icon = Icon.WRENCH


class FailedCard(Card):
    """What happened and how to go on."""

    def __init__(self, on_copy: Callable[[], object], parent: QWidget | None = None) -> None:
        super().__init__(spacing=10, parent=parent)
        head = QHBoxLayout()
        head.setSpacing(10)
        head.addWidget(Glyph(Icon.ERROR, "danger"))
        self._title = Text("", "heading", wrap=True)
        head.addWidget(self._title, 1)
        self._copy = Button("Copy report", "quiet", icon=Icon.COPY, compact=True)
        self._copy.clicked.connect(lambda: on_copy())
        head.addWidget(self._copy)
        self.body.addLayout(head)
        self._text = Text("", "body", "text2", wrap=True, selectable=True)
        self._text.setMaximumWidth(640)
        self.body.addWidget(self._text)
        self._ways = QVBoxLayout()
        self._ways.setSpacing(8)
        self.body.addLayout(self._ways)
        self._shown: tuple[object, ...] = ()

    def say(self, title: str, text: str, ways: Sequence[WayOut]) -> None:
        """Tell it; the first way is the primary one."""
        key = (title, text, *((way.title, way.effect) for way in ways))
        if key == self._shown:
            return
        self._shown = key
        self._title.say(title)
        self._text.say(text)
        self.setAccessibleName(title)
        self.setAccessibleDescription(text)
        _clear(self._ways)
        for at, way in enumerate(ways):
            if at:
                self._ways.addWidget(Hairline())
            self._ways.addWidget(_row(way, is_first=at == 0))


def _row(way: WayOut, *, is_first: bool) -> QWidget:
    widget = QWidget()
    row = QHBoxLayout(widget)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(12)
    row.addWidget(Glyph(way.icon, "text2"))
    words = QVBoxLayout()
    words.setSpacing(1)
    words.addWidget(Text(way.title, "body_strong"))
    words.addWidget(Text(way.effect, "small", "text2", wrap=True))
    row.addLayout(words, 1)
    button = Button(way.button, "primary" if is_first else "secondary", compact=True)
    button.setAccessibleName(f"{way.button}: {way.title}")
    button.clicked.connect(lambda: way.slot())
    row.addWidget(button)
    return widget


def _clear(layout: QVBoxLayout) -> None:
    while (item := layout.takeAt(0)) is not None:
        if (widget := item.widget()) is not None:
            widget.hide()
            widget.deleteLater()
