"""The exact text that a model reads: template, special tokens and all."""

from __future__ import annotations

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from studio.gui.controls import Dialog, Text, TextBox
from studio.gui.theme import font
from studio.sizes import counted


class PromptDialog(Dialog):
    """Shows a prompt as it is, to be read and copied."""

    def __init__(self, text: str, tokens: int, model: str, parent: QWidget | None = None) -> None:
        words = (
            f"What {model} reads before it answers: {counted(tokens, 'token')}, special ones as they are written."
        )
        super().__init__("The exact prompt", words, width=680, parent=parent)
        self.body.addWidget(Text(words, "small", "text2", wrap=True))
        self.box = TextBox(name="The exact prompt", lines=18)
        self.box.setReadOnly(True)
        self.box.setFont(font("mono"))
        self.box.setLineWrapMode(QPlainTextEdit.LineWrapMode.WidgetWidth)
        self.box.setPlainText(text)
        self.body.addWidget(self.box, 1)
        self.add_button("Copy", "secondary", lambda: QGuiApplication.clipboard().setText(text))
        self.add_button("Close", "primary", self.accept)
