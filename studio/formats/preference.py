"""Preference pairs: a chosen and a rejected answer, as text or as lists of turns, with or without the prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from studio.data import columns as cols
from studio.data import fields
from studio.data.conversation import Example, Message, RowError
from studio.formats import Format, Guess

_PROMPTS = ("prompt", "question", "instruction", "input", "query")


def _is_side(value: Any) -> bool:
    return cols.is_text(value) or _is_turns(value)


def _is_turns(value: Any) -> bool:
    return fields.is_turns(value, "role", "content") or fields.is_turns(value, "from", "value")


def _guess(rows: Sequence[Mapping[str, Any]]) -> Guess:
    chosen, rejected = cols.find(rows, ("chosen",), _is_side), cols.find(rows, ("rejected",), _is_side)
    if chosen is None or rejected is None:
        return Guess(0, {}, 'Looked for the columns "chosen" and "rejected", and "prompt" beside them.')
    found = {"chosen": chosen, "rejected": rejected}
    if prompt := cols.find(rows, _PROMPTS, _is_side):
        found["prompt"] = prompt
    if system := cols.find(rows, ("system", "system_prompt"), cols.may_be_text):
        found["system"] = system
    # Above everything else: such rows often have columns of the simpler formats too.
    return Guess(1.1, found, f"There are the columns {cols.quoted(list(found.values()))}.")


def _read(row: Mapping[str, Any], columns: Mapping[str, str]) -> Example:
    before = _prompt(row, columns)
    chosen = _answer(row, columns["chosen"], before)
    rejected = _answer(row, columns["rejected"], before)
    if not before and len(chosen) == 1:
        raise RowError("has no question: there is no prompt column, and the answers are single texts")
    if not rejected[-1].content.strip() and not rejected[-1].extra:
        raise RowError("has an empty rejected answer")
    return Example(messages=fields.checked([*before, *chosen]), rejected=rejected[-1])


def _prompt(row: Mapping[str, Any], columns: Mapping[str, str]) -> list[Message]:
    column = columns.get("prompt")
    system = fields.optional_text(row, columns.get("system"))
    head = [Message("system", system)] if system.strip() else []
    if column is None:
        return head
    value = row.get(column)
    turns = _turns(row, column) if _is_turns(value) else [Message("user", fields.text_of(row, column))]
    return turns if turns[0].role == "system" else [*head, *turns]


def _answer(row: Mapping[str, Any], column: str, before: list[Message]) -> list[Message]:
    """The answer's own turns: whole conversations repeat the prompt, which is left out here."""
    if not _is_turns(row.get(column)):
        return [Message("assistant", fields.text_of(row, column))]
    turns = _turns(row, column)
    if turns[-1].role != "assistant":
        raise RowError(f'does not end with an answer in "{column}"')
    said = [turn for turn in before if turn.role != "system"]
    own = [turn for turn in turns if turn.role != "system"]
    repeats = [turn.content for turn in own[: len(said)]] == [turn.content for turn in said]
    return own[len(said) :] if said and repeats and len(own) > len(said) else turns


def _turns(row: Mapping[str, Any], column: str) -> list[Message]:
    keys = ("role", "content") if fields.is_turns(row.get(column), "role", "content") else ("from", "value")
    return fields.turns_of(row, column, *keys)


def _write(example: Example, columns: Mapping[str, str]) -> dict[str, Any]:
    if example.rejected is None:
        raise RowError("needs the worse answer beside the better one")
    turns = [message.as_dict() for message in example.messages]
    chosen, rejected = turns[-1], example.rejected.as_dict()
    if "prompt" not in columns:
        return {columns["chosen"]: turns, columns["rejected"]: [*turns[:-1], rejected]}
    try:
        head, prompt, _ = fields.one_exchange(example.messages, columns)
    except RowError:  # as a list of turns the prompt holds any conversation
        return {columns["prompt"]: turns[:-1], columns["chosen"]: [chosen], columns["rejected"]: [rejected]}
    return {
        columns["prompt"]: prompt,
        columns["chosen"]: chosen["content"],
        columns["rejected"]: rejected["content"],
        **head,
    }


FORMAT = Format(
    key="preference",
    title="Preference pairs",
    summary="A chosen and a rejected answer to the same prompt; plain fine-tuning learns the chosen one.",
    roles={
        "chosen": "the better answer, or the conversation that ends with it",
        "rejected": "the worse one",
        "prompt?": "what was asked, where the answers do not hold it",
        "system?": "a system prompt",
    },
    sample={
        "prompt": "What is the capital of France?",
        "chosen": "Paris.",
        "rejected": "France has many nice cities.",
    },
    guess=_guess,
    read=_read,
    write=_write,
)
