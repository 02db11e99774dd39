"""A pair of hands for the real window: finds what a person would see by its name, and uses mouse and keyboard."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QAbstractButton, QApplication, QWidget
from pytestqt.qtbot import QtBot

from studio.gui.window import Window


class Hands:
    """Uses the window."""

    def __init__(self, window: Window, qtbot: QtBot) -> None:
        self.window, self.qtbot = window, qtbot

    def button(self, name: str, root: QWidget | None = None) -> QAbstractButton | None:
        """A button that can be seen and pressed, by the words on it or the name it tells."""
        for button in (root or self.window).findChildren(QAbstractButton):
            if button.isVisible() and button.isEnabled() and name in (button.text(), button.accessibleName()):
                return button
        return None

    def click(self, name: str, root: QWidget | None = None, seconds: float = 30) -> None:
        """Press a button with the mouse, once it is there."""
        self.until(lambda: self.button(name, root) is not None, seconds, f'a button "{name}"')
        found = self.button(name, root)
        assert found is not None
        self.qtbot.mouseClick(found, Qt.MouseButton.LeftButton)

    def press(self, key: Qt.Key, widget: QWidget | None = None, modifier: Qt.KeyboardModifier | None = None) -> None:
        """Press a key where the focus is."""
        # Without a window manager nobody gives the window its turn back after a dialog.
        self.window.activateWindow()
        target = widget or QApplication.focusWidget() or self.window
        self.qtbot.keyClick(target, key, modifier or Qt.KeyboardModifier.NoModifier)

    def type(self, words: str, widget: QWidget | None = None) -> None:
        """Write where the focus is."""
        target = widget or QApplication.focusWidget()
        assert target is not None
        self.qtbot.keyClicks(target, words)

    def until(self, condition: Callable[[], bool], seconds: float = 30, what: str = "") -> None:
        """Wait for something to be so."""
        try:
            self.qtbot.waitUntil(condition, timeout=int(seconds * 1000))
        except Exception as error:
            told = "; ".join(self.window.toasts.texts())
            picture = Path(tempfile.gettempdir()) / "tunesmith-test-failed.png"
            self.window.grab().save(str(picture))
            raise AssertionError(f"waited {seconds} s for {what or condition}. Told: {told}. See {picture}") from error

    def in_dialog(self, act: Callable[[QWidget], None]) -> None:
        """Do something in the dialog that the next press opens: a modal dialog has a loop of its own.

        It has the focus by then, if it gets it within five seconds. A failure closes it, or its loop would never end.
        """
        looks = iter(range(100))

        def look() -> None:
            dialog, focus = QApplication.activeModalWidget(), QApplication.focusWidget()
            is_ready = dialog is not None and focus is not None and dialog.isAncestorOf(focus)
            if dialog is None or (not is_ready and next(looks, None) is not None):
                QTimer.singleShot(50, look)
                return
            try:
                act(dialog)
            except BaseException:
                dialog.close()
                raise

        QTimer.singleShot(50, look)

    def drop(self, path: Path) -> None:
        """Drag a file over the window and let go."""
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path))])
        action, button = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
        none = Qt.KeyboardModifier.NoModifier
        QApplication.sendEvent(self.window, QDragEnterEvent(QPoint(400, 300), action, data, button, none))
        assert self.window.drop_sheet.isVisible()
        QApplication.sendEvent(self.window, QDropEvent(QPointF(400, 300), action, data, button, none))
        assert not self.window.drop_sheet.isVisible()
