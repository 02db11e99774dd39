"""Keys: where a bare letter acts, and how a key is written for a person."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QAbstractSpinBox, QApplication, QComboBox, QLineEdit, QPlainTextEdit, QTextEdit

_WRITES = (QLineEdit, QPlainTextEdit, QTextEdit, QAbstractSpinBox, QComboBox)


def is_bare(key: str) -> bool:
    """Whether a key is a letter or sign without Ctrl, Alt or Cmd, which a text field would want for itself."""
    return key != "" and not any(part in key for part in ("Ctrl", "Alt", "Meta")) and not _is_function(key)


def guarded(slot: Callable[[], object]) -> Callable[[], None]:
    """`slot`, kept from acting while somebody writes."""

    def act() -> None:
        focus = QApplication.focusWidget()
        if not (isinstance(focus, _WRITES) and focus.isEnabled()):
            slot()

    return act


def key_text(key: str) -> str:
    """'Ctrl+K' as this system writes it."""
    return QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText).replace("+", " ")


def _is_function(key: str) -> bool:
    return len(key) in (2, 3) and key[0] == "F" and key[1:].isdigit()
