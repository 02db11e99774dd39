"""Chat messages: a list of turns with role and content, as most chat services and libraries write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from studio.data import columns as cols
from studio.data import fields
from studio.data.conversation import Example
from studio.formats import Format, Guess

_NAMES = ("messages", "conversation", "conversations", "dialogue", "dialog", "chat", "turns")


def _is_mine(value: Any) -> bool:
    return fields.is_turns(value, "role", "content")


def _guess(rows: Sequence[Mapping[str, Any]]) -> Guess:
    column = cols.find(rows, _NAMES, _is_mine) or next(iter(cols.find_any(rows, _is_mine)), None)
    if column is None:
        return Guess(0, {}, "Looked for a column that holds a list of turns with role and content.")
    found = {"messages": column}
    if tools := cols.find(rows, ("tools", "functions"), lambda value: True):
        found["tools"] = tools
    score = 1.0 if column.lower() in _NAMES else 0.9
    return Guess(score, found, f'The column "{column}" holds lists of turns with role and content.')


def _read(row: Mapping[str, Any], columns: Mapping[str, str]) -> Example:
    messages = fields.checked(fields.turns_of(row, columns["messages"]))
    return Example(messages=messages, tools=fields.tools_of(row, columns.get("tools")))


def _write(example: Example, columns: Mapping[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {columns["messages"]: [message.as_dict() for message in example.messages]}
    if example.tools and "tools" in columns:
        row[columns["tools"]] = list(example.tools)
    return row


FORMAT = Format(
    key="messages",
    title="Chat messages",
    summary="A list of turns, each with a role (system, user, assistant, tool) and its content.",
    roles={"messages": "the list of turns", "tools?": "definitions of the tools that the turns call"},
    sample={
        "messages": [
            {"role": "system", "content": "You are brief."},
            {"role": "user", "content": "What is the capital of France?"},
            {"role": "assistant", "content": "Paris."},
        ]
    },
    guess=_guess,
    read=_read,
    write=_write,
)
