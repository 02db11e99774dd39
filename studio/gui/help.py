"""F1: what the focused control is and does; of a setting also what files and the command line call it."""

from __future__ import annotations

from html import escape

from PySide6.QtCore import QPoint, QRect
from PySide6.QtWidgets import QApplication, QToolTip, QWidget

_SHOWN_MS = 60_000
_NOWHERE = "Choose a field or a button first, with the mouse or with Tab. Ctrl+K shows every command and its key."


def help_words(widget: QWidget | None) -> str:
    """What is said about a control, as rich text: by itself, or by the nearest thing around it that says something."""
    while widget is not None:
        if widget.whatsThis():
            return widget.whatsThis()
        words = widget.toolTip() or widget.accessibleDescription()
        if words:
            name = widget.accessibleName()
            return f"<b>{escape(name)}</b><br>{escape(words)}" if name and name != words else escape(words)
        widget = widget.parentWidget() if not widget.isWindow() else None
    return _NOWHERE


def show_help(window: QWidget) -> None:
    """Show it below the control that has the focus until that changes; asked twice, take it away again."""
    if QToolTip.isVisible():
        QToolTip.hideText()
        return
    focus = QApplication.focusWidget()
    at = focus if focus is not None and window.isAncestorOf(focus) else window
    place = at.mapToGlobal(QPoint(0, at.height() if at is not window else 40))
    words = f'<div style="margin: 5px 7px">{help_words(focus)}</div>'
    QToolTip.showText(place, words, at, QRect(), _SHOWN_MS)
