"""Values of a row as text, turns and tools, with the reason when they are not. Shared by the row formats."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from studio.data.conversation import Message, Role, RowError

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "ipython": "tool",
}
# What chat templates read of a turn beyond its text.
_KEPT = ("name", "tool_calls", "tool_call_id", "reasoning_content", "reasoning", "thinking")


def text_of(row: Mapping[str, Any], column: str, *, may_be_empty: bool = False) -> str:
    """The column's text; numbers are written out.

    Raises:
        RowError: it is missing, empty or no text.
    """
    value = row.get(column)
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        raise RowError(f'has a {kind_of(value)} in "{column}" where text belongs')
    text = "" if value is None else str(value)
    if not text.strip() and not may_be_empty:
        missing = "no" if column not in row else "an empty"
        raise RowError(f'has {missing} "{column}"')
    return text


def optional_text(row: Mapping[str, Any], column: str | None) -> str:
    """As `text_of`, "" when there is no such column or nothing in it."""
    return text_of(row, column, may_be_empty=True) if column else ""


def is_turns(value: Any, role_key: str, text_key: str) -> bool:
    """Whether a value looks like a conversation written with these two keys."""
    value = unpacked(value)
    if not isinstance(value, list) or not value or not all(isinstance(turn, Mapping) for turn in value):
        return False
    return role_key in value[0] and (text_key in value[0] or "tool_calls" in value[0])


def unpacked(value: Any) -> Any:
    """A list or object that a CSV cell holds as JSON text."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def turns_of(row: Mapping[str, Any], column: str, role_key: str = "role", text_key: str = "content") -> list[Message]:
    """The column's conversation.

    Raises:
        RowError: it is missing, empty, or a turn in it cannot be read.
    """
    value = unpacked(row.get(column))
    if value is None or value == []:
        raise RowError(f'has no turns in "{column}"')
    if not isinstance(value, list):
        raise RowError(f'has a {kind_of(value)} in "{column}" where a list of turns belongs')
    return [_turn(turn, at, role_key, text_key) for at, turn in enumerate(value, 1)]


def tools_of(row: Mapping[str, Any], column: str | None) -> tuple[dict[str, Any], ...]:
    """Tool definitions, from a list or from its JSON text.

    Raises:
        RowError: there is something else in the column.
    """
    value = unpacked(row.get(column)) if column else None
    if value is None or value == "" or value == []:
        return ()
    value = value if isinstance(value, list) else [value]
    tools = [unpacked(tool) for tool in value]
    if not all(isinstance(tool, Mapping) for tool in tools):
        raise RowError(f'has something in "{column}" that is no list of tool definitions')
    return tuple(_without_nulls(tool) for tool in tools)


def checked(messages: list[Message]) -> tuple[Message, ...]:
    """The turns, with what no template can be right about refused.

    Raises:
        RowError: nobody answers, or an answer is empty.
    """
    for at, message in enumerate(messages, 1):
        if message.role == "assistant" and not message.content.strip() and not _says_more(message):
            raise RowError(f"has an empty answer (turn {at})")
    if not any(message.role == "assistant" for message in messages):
        raise RowError("has no answer: no turn is the assistant's")
    return tuple(messages)


def question_and_answer(system: str, question: str, answer: str) -> tuple[Message, ...]:
    """A conversation of one exchange."""
    head = [Message("system", system)] if system.strip() else []
    return checked([*head, Message("user", question), Message("assistant", answer)])


def one_exchange(messages: tuple[Message, ...], columns: Mapping[str, str]) -> tuple[dict[str, str], str, str]:
    """A conversation as a row's system column (empty where it has none), its question and its answer.

    Raises:
        RowError: there is more in it, or a system prompt without a column for it.
    """
    system = messages[0].content if messages and messages[0].role == "system" else ""
    rest = messages[1:] if system else messages
    if [message.role for message in rest] != ["user", "assistant"]:
        raise RowError("holds one question and its answer, and this conversation is longer")
    if system.strip() and "system" not in columns:
        raise RowError("has no column for a system prompt")
    return ({columns["system"]: system} if "system" in columns else {}), rest[0].content, rest[1].content


def kind_of(value: Any) -> str:
    """What a JSON value is, for a sentence."""
    names = {
        list: "list",
        dict: "nested object",
        str: "text",
        bool: "truth value",
        int: "number",
        float: "number",
        bytes: "block of bytes",
    }
    return "null" if value is None else names.get(type(value), type(value).__name__)


def _turn(turn: Any, at: int, role_key: str, text_key: str) -> Message:
    if not isinstance(turn, Mapping):
        raise RowError(f"has a {kind_of(turn)} as turn {at}, where an object with {role_key} and {text_key} belongs")
    said = turn.get(role_key)
    role = _ROLES.get(said.strip().lower()) if isinstance(said, str) else None
    if role is None:
        raise RowError(f"has an unknown {role_key} in turn {at}: {str(said)[:40]!r}")
    if said == "function_call":
        return Message("assistant", "", (("tool_calls", _call(turn.get(text_key), at)),))
    extra = tuple((key, _extra(key, turn[key])) for key in _KEPT if turn.get(key) not in (None, "", []))
    return Message(role, _content(turn.get(text_key), at), extra)


def _content(value: Any, at: int) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_part(part, at) for part in value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise RowError(f"has a {kind_of(value)} as the text of turn {at}")


def _part(part: Any, at: int) -> str:
    """A piece of a turn in the form that vision models use; only text can be learned from here."""
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return str(part["text"])
    what = part.get("type") if isinstance(part, Mapping) else kind_of(part)
    raise RowError(f"has something other than text in turn {at} ({what}); only text can be trained on")


def _extra(key: str, value: Any) -> Any:
    value = _without_nulls(value)
    if key != "tool_calls" or not isinstance(value, list):
        return value
    return [_parsed_arguments(call) for call in value]


def _parsed_arguments(call: Any) -> Any:
    """Arguments that come as JSON text become an object: templates write them as JSON, which would quote them twice."""
    if not isinstance(call, dict):
        return call
    if isinstance(call.get("function"), dict):
        return {**call, "function": _parsed_arguments(call["function"])}
    return {**call, "arguments": unpacked(call["arguments"])} if "arguments" in call else call


def _call(value: Any, at: int) -> list[Any]:
    call = unpacked(value)
    if not isinstance(call, dict) or "name" not in call:
        raise RowError(f"has a function call in turn {at} that is no JSON object with name and arguments")
    return [{"type": "function", "function": _parsed_arguments(call)}]


def _without_nulls(value: Any) -> Any:
    """Columnar files fill every field of a struct; a null there means that the field is not there."""
    if isinstance(value, Mapping):
        return {str(key): _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_nulls(item) for item in value]
    return value


def _says_more(message: Message) -> bool:
    return any(key in ("tool_calls", "reasoning_content", "reasoning", "thinking") for key, _ in message.extra)
