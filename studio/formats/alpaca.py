"""Alpaca rows: an instruction, sometimes an input to apply it to, and the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from studio.data import columns as cols
from studio.data import fields
from studio.data.conversation import Example
from studio.formats import Format, Guess

_OPTIONAL = {"input": ("input", "context"), "system": ("system", "system_prompt")}


def _guess(rows: Sequence[Mapping[str, Any]]) -> Guess:
    instruction = cols.find(rows, ("instruction",), cols.is_text)
    output = cols.find(rows, ("output", "response", "answer", "completion"), cols.is_text)
    if instruction is None or output is None:
        return Guess(0, {}, 'Looked for the columns "instruction" and "output", and "input" beside them.')
    found = {"instruction": instruction, "output": output}
    for role, names in _OPTIONAL.items():
        if column := cols.find(rows, names, cols.may_be_text):
            found[role] = column
    score = 0.95 if output.lower() == "output" else 0.9
    return Guess(score, found, f"There are the columns {cols.quoted(list(found.values()))}.")


def _read(row: Mapping[str, Any], columns: Mapping[str, str]) -> Example:
    instruction = fields.text_of(row, columns["instruction"])
    given = fields.optional_text(row, columns.get("input"))
    question = f"{instruction}\n\n{given}" if given.strip() else instruction
    system = fields.optional_text(row, columns.get("system"))
    return Example(messages=fields.question_and_answer(system, question, fields.text_of(row, columns["output"])))


def _write(example: Example, columns: Mapping[str, str]) -> dict[str, Any]:
    head, question, answer = fields.one_exchange(example.messages, columns)
    given = {columns["input"]: ""} if "input" in columns else {}
    return {columns["instruction"]: question, **given, columns["output"]: answer, **head}


FORMAT = Format(
    key="alpaca",
    title="Instruction, input, output",
    summary="An instruction, sometimes an input that it applies to, and the wished output.",
    roles={
        "instruction": "what is asked",
        "input?": "what it applies to; put below the instruction",
        "output": "the answer to learn",
        "system?": "a system prompt",
    },
    sample={"instruction": "Translate into French.", "input": "Good morning", "output": "Bonjour"},
    guess=_guess,
    read=_read,
    write=_write,
)
