"""Prompt and completion: two columns, as text or as lists of turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from studio.data import columns as cols
from studio.data import fields
from studio.data.conversation import Example, RowError
from studio.formats import Format, Guess


def _is_side(value: Any) -> bool:
    return cols.is_text(value) or fields.is_turns(value, "role", "content")


def _guess(rows: Sequence[Mapping[str, Any]]) -> Guess:
    prompt = cols.find(rows, ("prompt",), _is_side)
    completion = cols.find(rows, ("completion", "response", "output"), _is_side)
    if prompt is None or completion is None:
        return Guess(0, {}, 'Looked for the columns "prompt" and "completion".')
    found = {"prompt": prompt, "completion": completion}
    if system := cols.find(rows, ("system", "system_prompt"), cols.may_be_text):
        found["system"] = system
    score = 0.95 if completion.lower() == "completion" else 0.9
    return Guess(score, found, f"There are the columns {cols.quoted(list(found.values()))}.")


def _read(row: Mapping[str, Any], columns: Mapping[str, str]) -> Example:
    if fields.is_turns(row.get(columns["prompt"]), "role", "content"):
        turns = fields.turns_of(row, columns["prompt"]) + fields.turns_of(row, columns["completion"])
        return Example(messages=fields.checked(turns))
    prompt = fields.text_of(row, columns["prompt"])
    system = fields.optional_text(row, columns.get("system"))
    return Example(messages=fields.question_and_answer(system, prompt, fields.text_of(row, columns["completion"])))


def _write(example: Example, columns: Mapping[str, str]) -> dict[str, Any]:
    try:
        head, prompt, completion = fields.one_exchange(example.messages, columns)
    except RowError:  # as lists of turns a row holds any conversation
        *before, last = [message.as_dict() for message in example.messages]
        return {columns["prompt"]: before, columns["completion"]: [last]}
    return {columns["prompt"]: prompt, columns["completion"]: completion, **head}


FORMAT = Format(
    key="prompt_completion",
    title="Prompt and completion",
    summary="A prompt and the completion to learn, as text or as lists of turns.",
    roles={"prompt": "what is asked", "completion": "the answer to learn", "system?": "a system prompt"},
    sample={"prompt": "What is the capital of France?", "completion": "Paris."},
    guess=_guess,
    read=_read,
    write=_write,
)
