"""ShareGPT conversations: a list of turns with from (human, gpt, system) and value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from studio.data import columns as cols
from studio.data import fields
from studio.data.conversation import Example, Message
from studio.formats import Format, Guess

_NAMES = ("conversations", "conversation", "messages", "dialogue", "chat")
_NAMED = {"system": "system", "user": "human", "assistant": "gpt", "tool": "tool"}


def _is_mine(value: Any) -> bool:
    return fields.is_turns(value, "from", "value")


def _guess(rows: Sequence[Mapping[str, Any]]) -> Guess:
    column = cols.find(rows, _NAMES, _is_mine) or next(iter(cols.find_any(rows, _is_mine)), None)
    if column is None:
        return Guess(0, {}, "Looked for a column that holds a list of turns with from and value.")
    found = {"conversations": column}
    if system := cols.find(rows, ("system", "system_prompt"), cols.may_be_text):
        found["system"] = system
    if tools := cols.find(rows, ("tools", "functions"), lambda value: True):
        found["tools"] = tools
    score = 1.0 if column.lower() in _NAMES else 0.9
    return Guess(score, found, f'The column "{column}" holds lists of turns with from and value.')


def _read(row: Mapping[str, Any], columns: Mapping[str, str]) -> Example:
    turns = fields.turns_of(row, columns["conversations"], "from", "value")
    system = fields.optional_text(row, columns.get("system"))
    if system.strip() and turns[0].role != "system":
        turns = [Message("system", system), *turns]
    return Example(messages=fields.checked(turns), tools=fields.tools_of(row, columns.get("tools")))


def _write(example: Example, columns: Mapping[str, str]) -> dict[str, Any]:
    turns = [{"from": _NAMED[message.role], "value": message.content} for message in example.messages]
    row: dict[str, Any] = {columns["conversations"]: turns}
    if "system" in columns and example.messages[0].role == "system":
        row = {columns["conversations"]: turns[1:], columns["system"]: turns[0]["value"]}
    if example.tools and "tools" in columns:
        row[columns["tools"]] = list(example.tools)
    return row


FORMAT = Format(
    key="sharegpt",
    title="ShareGPT conversations",
    summary="A list of turns, each with from (human, gpt, system) and value.",
    roles={
        "conversations": "the list of turns",
        "system?": "a system prompt, where it is not a turn",
        "tools?": "definitions of the tools that the turns call",
    },
    sample={
        "conversations": [
            {"from": "human", "value": "What is the capital of France?"},
            {"from": "gpt", "value": "Paris."},
        ]
    },
    guess=_guess,
    read=_read,
    write=_write,
)
