"""The Hub token: kept in the system's keyring or not at all. What is written here is never shown again."""

from __future__ import annotations

import os

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from studio.gui.context import Context
from studio.gui.controls import Button, Field, Text
from studio.gui.tasks import Control
from studio.models.hub_token import forget_token, has_keyring, keep_token, kept_token

_HELP = "Lets you download models whose owners ask who you are. It is kept in the system's keyring."
_NO_KEYRING = "This computer has no keyring to keep it in. Set the variable HF_TOKEN before starting Tunesmith."
_OUTSIDE = "The variable HF_TOKEN is set, and is used."
# The keyring's library is loaded on a thread, but each call into Qt waits for it: it comes once the page is painted.
_PAINTED_MS = 120


class TokenRow(QWidget):
    """A field for a new token, or the word that one is kept and a button that forgets it."""

    def __init__(self, context: Context, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self.help = Text(_HELP, "small", "text2", wrap=True)
        self.field = Field("hf_…", name="Hub token")
        self.field.setEchoMode(QLineEdit.EchoMode.Password)
        self.field.setFixedWidth(220)
        self.keep = Button("Keep it")
        self.forget = Button("Forget it")
        self._looking = QTimer(self)
        self._looking.setSingleShot(True)
        self._looking.setInterval(_PAINTED_MS)
        self._lay_out()
        self._connect()
        self._show(False, True)

    def refresh(self) -> None:
        """Look whether a token is kept, in a moment."""
        self._looking.start()

    def rest(self) -> None:
        """Nobody is looking: do not begin to."""
        self._looking.stop()

    def _lay_out(self) -> None:
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 5, 0, 5)
        layout.setSpacing(8)
        words = QVBoxLayout()
        words.setSpacing(1)
        words.addWidget(Text("Hub token", "body_strong"))
        words.addWidget(self.help)
        layout.addLayout(words, 1)
        layout.addWidget(self.field)
        layout.addWidget(self.keep)
        layout.addWidget(self.forget)

    def _connect(self) -> None:
        self.keep.clicked.connect(self._on_keep)
        self.field.returnPressed.connect(self._on_keep)
        self.forget.clicked.connect(self._on_forget)
        self._looking.timeout.connect(self._look)

    def _look(self) -> None:
        self._context.tasks.run(_look, on_done=lambda found: self._show(*found))

    def _show(self, is_kept: bool, can_keep: bool) -> None:
        is_outside = bool(os.environ.get("HF_TOKEN"))
        self.field.setVisible(can_keep and not is_kept and not is_outside)
        self.keep.setVisible(can_keep and not is_kept and not is_outside)
        self.forget.setVisible(is_kept)
        words = "A token is kept in the system's keyring." if is_kept else _HELP if can_keep else _NO_KEYRING
        self.help.say(_OUTSIDE if is_outside else words, "text2")

    def _on_keep(self) -> None:
        token = self.field.text()
        self._context.tasks.run(lambda control: keep_token(token), on_done=self._on_kept, on_error=self._on_refused)

    def _on_kept(self, _: object) -> None:
        self.field.clear()
        self.refresh()

    def _on_refused(self, error: Exception) -> None:
        self.help.say(str(error), "danger")

    def _on_forget(self) -> None:
        self._context.tasks.run(
            lambda control: forget_token(), on_done=lambda _: self.refresh(), on_error=self._on_refused
        )


def _look(control: Control) -> tuple[bool, bool]:
    return kept_token() is not None, has_keyring()
