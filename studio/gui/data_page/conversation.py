"""A row as a conversation: who says what, in running text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from studio.data.conversation import Example, Message
from studio.gui.controls import ScrollColumn, Text
from studio.gui.controls.text import Tone
from studio.gui.theme import Role

SPEAKERS = {"system": "System", "user": "User", "assistant": "Answer", "tool": "Tool"}
_MOST_CHARACTERS = 20_000
_MOST_TURNS = 200


class Conversation(ScrollColumn):
    """Turns one below the other."""

    def __init__(self) -> None:
        super().__init__(spacing=3, margins=(0, 0, 8, 8))
        self.setAccessibleName("Conversation")

    def show_example(self, example: Example) -> None:
        """Show the turns, or the plain text."""
        self._clear()
        if not example.messages:
            self._add("Text", "accent_text", example.text)
        for message in example.messages[:_MOST_TURNS]:
            tone: Tone = "accent_text" if message.role == "assistant" else "text3"
            self._add(SPEAKERS[message.role], tone, _said(message))
        if len(example.messages) > _MOST_TURNS:
            self._add(f"{len(example.messages) - _MOST_TURNS:,} more turns", "text3", "")
        if example.rejected is not None:
            self._add("Worse answer", "danger", _said(example.rejected))
        self.column.addStretch(1)

    def show_raw(self, row: Mapping[str, Any] | None, reason: str = "") -> None:
        """Show a row as it stands in the file, and why it cannot be used."""
        self._clear()
        if reason:
            self._add("Set aside", "warn", f"The row {reason}.")
        if row is not None:
            self._add("As it stands in the file", "text3", _written(row), "mono")
        self.column.addStretch(1)

    def _add(self, who: str, tone: Tone, text: str, role: Role = "body") -> None:
        if self.column.count():
            self.column.addSpacing(9)
        self.column.addWidget(Text(who, "caption", tone))
        cut = text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}… ({len(text):,} characters)"
        if cut:
            self.column.addWidget(Text(cut, role, "text", wrap=True, selectable=True))

    def _clear(self) -> None:
        while (item := self.column.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self.verticalScrollBar().setValue(0)


def _said(message: Message) -> str:
    extra = {key: value for key, value in message.extra if key != "name"}
    more = _written(extra) if extra else ""
    return "\n".join(part for part in (message.content, more) if part)


def _written(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str)
