"""Words of a window that have less room than they need, and cards over cards: what tests and pictures both look for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from PySide6.QtGui import QFontMetricsF
from PySide6.QtWidgets import QWidget

from studio.gui.controls import Button, Card, Elided, States, Text
from studio.gui.export_page.target_cards import TargetCard
from studio.gui.theme import font


def cut_words(root: QWidget) -> list[str]:
    """What is cut, with the room it has and the room it needs, in pixels.

    A heading, a caption and a figure are never to end in an ellipsis; other lines that can are left out.
    """
    seen = [widget for widget in root.findChildren(QWidget) if widget.isVisible()]
    rooms = (room for widget in seen for room in _rooms(widget))
    cut = [f"{text!r} has {has} of {needs} pixels" for text, has, needs in rooms if text and has < needs]
    cards = [widget for widget in seen if isinstance(widget, Card | States)]
    return cut + [
        f"{_named(one)} and {_named(other)} overlap"
        for one, other in combinations(cards, 2)
        if one.parentWidget() is other.parentWidget() and one.geometry().intersects(other.geometry())
    ]


def _named(card: QWidget) -> str:
    return card.accessibleName() or type(card).__name__


def _rooms(widget: QWidget) -> Iterator[tuple[str, int, int]]:
    if isinstance(widget, TargetCard):
        yield widget.text(), widget.width() - 28, round(QFontMetricsF(font("item")).horizontalAdvance(widget.text()))
    elif isinstance(widget, Text) and widget.wordWrap():
        yield widget.text(), widget.height(), widget.heightForWidth(widget.width())
    elif isinstance(widget, Button | Text):
        never_cut = [font(role) for role in ("title", "heading", "caption")]
        if not isinstance(widget, Elided) or widget.font() in never_cut:
            yield widget.text(), widget.width(), widget.sizeHint().width()
