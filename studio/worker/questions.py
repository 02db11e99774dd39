"""The fixed held-out questions that are answered at each evaluation, with the words a person knows them by."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path
from typing import Any

from studio.data.conversation import Example
from studio.data.source import open_source
from studio.data.training_data import TrainingData
from studio.engine.samples import Prompt, pick_prompts
from studio.worker.run_context import RunContext


def held_out_questions(parts: RunContext, data: TrainingData, count: int) -> list[Prompt]:
    """The first `count` held-out rows as prompts; their tokens end where the first learned answer begins."""
    rows = data.heldout
    count = min(count, len(rows))
    examples = _examples(parts, [rows.row(at).row_number for at in range(count)])
    prompts = pick_prompts(rows, parts.tokenizer, count=count)
    return [
        Prompt(text=question(example) or prompt.text, ids=prompt.ids)
        for example, prompt in zip(examples, prompts, strict=True)
    ]


def question(example: Example) -> str:
    """The last thing the user says before the first answer, "" for plain text."""
    before = takewhile(lambda message: message.role != "assistant", example.messages)
    asked = [message.content for message in before if message.role == "user"]
    return asked[-1].strip() if asked else ""


def first_conversation(parts: RunContext, data: TrainingData) -> list[dict[str, Any]]:
    """The messages of the first held-out row (or training row) up to its first answer; empty for plain text."""
    rows = data.heldout if len(data.heldout) else data.train
    (example,) = _examples(parts, [rows.row(0).row_number])
    return [message.as_dict() for message in takewhile(lambda message: message.role != "assistant", example.messages)]


def _examples(parts: RunContext, numbers: list[int]) -> list[Example]:
    """The rows with these numbers, read again from the file: the token cache keeps no words."""
    wanted, found = set(numbers), {}
    reader = parts.recognised()
    for row in open_source(Path(parts.spec.data.path)).rows() if wanted else ():
        if row.number in wanted and row.value is not None:
            found[row.number] = reader.read(row.value)
            if len(found) == len(wanted):
                break
    return [found[number] for number in numbers]
