"""What the check of an exported file compares on: rows of the run's held-out data, and the tuned model in torch."""

from __future__ import annotations

from collections.abc import Callable

import psutil
import torch

from studio.engine.load import load_tuned
from studio.errors import UserError
from studio.export.verify import Floats, Row
from studio.models.facts import read_facts
from studio.models.tokenizer import ChatTokenizer
from studio.project.tuned import Tuned
from studio.protocol.events import Notice
from studio.worker.job import Context
from studio.worker.run_context import open_run

MOST_POSITIONS = 512
LONGEST_ROW = 256
_MEMORY_SHARE = 0.7
_KEPT_BYTES = 256 << 20

# For models without a run: everyday questions, and text that tokenizers cut in unlike ways.
_QUESTIONS = (
    "What is the capital of France, and what is it known for?",
    "Write a Python function that adds up a list of numbers.",
    "Count from 1 to 12, then tell me what 345 + 6789 is.",
    "Translate into German: it's raining, so we'll stay at home.",
    "Name three animals, three colours and three cities.",
    "Explain in one sentence why the sky is blue.",
)


def check_rows(tuned: Tuned, context: Context) -> list[Row]:
    """Held-out rows of the run, else its training rows, else plain questions; at most `MOST_POSITIONS` tokens."""
    tokenizer = ChatTokenizer.load(tuned.base)
    rows: list[Row] = []
    if tuned.run is not None:
        try:
            rows = _rows_of_run(tuned, context)
        except UserError as error:
            context.emit(Notice(severity="warning", text=f"The check uses built-in questions: {error.message}"))
    return rows or [_row(tokenizer, _question_ids(tokenizer, text), None) for text in _QUESTIONS]


def tuned_logits(tuned: Tuned) -> Callable[[list[int]], Floats] | None:
    """The tuned model as a function of token ids; None when it does not fit into memory."""
    dtype = _dtype_that_fits(tuned)
    if dtype is None:
        return None
    model = load_tuned(tuned.base, tuned.weights, dtype=dtype, device="cpu")

    kept: dict[tuple[int, ...], Floats] = {}  # several files are compared on the same rows

    def logits(ids: list[int]) -> Floats:
        if tuple(ids) in kept:
            return kept[tuple(ids)]
        with torch.no_grad():
            found: Floats = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float().numpy()
        if sum(array.nbytes for array in kept.values()) + found.nbytes < _KEPT_BYTES:
            kept[tuple(ids)] = found
        return found

    return logits


def _dtype_that_fits(tuned: Tuned) -> str | None:
    """fp32 where there is room, else the dtype that it is stored in, else nothing."""
    facts = read_facts(tuned.base)
    free = psutil.virtual_memory().available * _MEMORY_SHARE
    if facts.num_parameters * 4 < free:
        return "float32"
    return "auto" if facts.weight_bytes < free else None


def _rows_of_run(tuned: Tuned, context: Context) -> list[Row]:
    assert tuned.run is not None
    parts = open_run(tuned.run)
    data = parts.data(is_cancelled=context.cancelled.is_set)
    try:
        source, rows, positions = (data.heldout if len(data.heldout) else data.train), [], 0
        for at in range(len(source)):
            found = source.row(at)
            row = _row(parts.tokenizer, found.ids.tolist()[:LONGEST_ROW], found.trained.tolist()[:LONGEST_ROW])
            rows.append(row)
            positions += sum(row.counts)
            if positions >= MOST_POSITIONS:
                break
        return [row for row in rows if len(row.ids) > 1]
    finally:
        data.close()


def _question_ids(tokenizer: ChatTokenizer, text: str) -> list[int]:
    if tokenizer.template is None:
        return tokenizer.encode(text)
    return tokenizer.encode_prompt([{"role": "user", "content": text}])


def _row(tokenizer: ChatTokenizer, ids: list[int], counts: list[bool] | None) -> Row:
    """A row whose text and tokens mean each other, also where a cut went through a character."""
    text = tokenizer.decode(ids, skip_special=False)
    again = tokenizer.encode(text)
    return Row(text, again, counts if counts is not None and again == ids else [True] * len(again))
