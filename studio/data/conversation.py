"""What every row format becomes: a conversation or plain text. No files, no tokens here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]


class RowError(Exception):
    """One row cannot be used; the message is the reason, without file and line."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `extra` carries what templates know beyond text (tool_calls, name, tool_call_id, reasoning_content)."""

    role: Role
    content: str
    extra: tuple[tuple[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As a chat template wants it."""
        return {"role": self.role, "content": self.content, **dict(self.extra)}


@dataclass(frozen=True, slots=True)
class Example:
    """One row to learn from.

    Attributes:
        messages: the conversation; empty for plain text.
        text: plain text to continue (pre-training style), "" for a conversation.
        rejected: the worse answer of a preference row, in place of the last message; else None.
        tools: tool definitions for the template, as JSON-schema dictionaries.
    """

    messages: tuple[Message, ...] = ()
    text: str = ""
    rejected: Message | None = None
    tools: tuple[dict[str, Any], ...] = ()
