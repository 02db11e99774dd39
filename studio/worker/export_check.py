"""What the check of an exported file compares on: rows of the run's held-out data, and the tuned model in torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from studio.engine.generate import generate
from studio.engine.load import load_tuned
from studio.errors import UserError
from studio.export.verify import Floats, Row
from studio.models.facts import read_facts
from studio.models.tokenizer import ChatTokenizer
from studio.project.jobs import JobProcess, WorkerFailed
from studio.project.runs import Run
from studio.project.tuned import Tuned
from studio.protocol.commands import Say
from studio.protocol.events import Notice, Token
from studio.spec.sampling import Sampling
from studio.worker.job import Context
from studio.worker.questions import first_conversation
from studio.worker.run_context import open_run

MOST_POSITIONS = 512
LONGEST_ROW = 256
_MEMORY_SHARE = 0.7
_KEPT_BYTES = 256 << 20
_ANSWER = Sampling(temperature=0.0, max_tokens=96)

# For models without a run: everyday questions, and text that tokenizers cut in unlike ways.
_QUESTIONS = (
    "What is the capital of France, and what is it known for?",
    "Write a Python function that adds up a list of numbers.",
    "Count from 1 to 12, then tell me what 345 + 6789 is.",
    "Translate into German: it's raining, so we'll stay at home.",
    "Name three animals, three colours and three cities.",
    "Explain in one sentence why the sky is blue.",
)


@dataclass(frozen=True)
class Trial:
    """What a file is tried on: rows to compare probabilities on, and one conversation to answer (empty for none)."""

    rows: list[Row]
    messages: list[dict[str, Any]]


def open_trial(tuned: Tuned, context: Context) -> Trial:
    """Held-out rows of the run, else its training rows, else plain questions; at most `MOST_POSITIONS` tokens."""
    tokenizer = ChatTokenizer.load(tuned.base)
    if tuned.run is not None:
        try:
            trial = _of_run(tuned.run, context)
        except UserError as error:
            context.emit(Notice(severity="warning", text=f"The check uses built-in questions: {error.message}"))
        else:
            if trial.rows:
                return trial
    asked = [{"role": "user", "content": _QUESTIONS[0]}] if tokenizer.template is not None else []
    return Trial([_row(tokenizer, _question_ids(tokenizer, text), None) for text in _QUESTIONS], asked)


class Reference:
    """The tuned model in torch, that files are compared with."""

    def __init__(self, tuned: Tuned, dtype: str) -> None:
        """Use `open`."""
        self._model = load_tuned(tuned.base, tuned.weights, dtype=dtype, device="cpu")
        self._tokenizer = ChatTokenizer.load(tuned.base)
        self._kept: dict[tuple[int, ...], Floats] = {}  # several files are compared on the same rows

    @classmethod
    def open(cls, tuned: Tuned) -> Reference | None:
        """Load it; None when it does not fit into memory."""
        dtype = _dtype_that_fits(tuned)
        return None if dtype is None else cls(tuned, dtype)

    def logits(self, ids: list[int]) -> Floats:
        """(length, vocabulary) fp32 logits."""
        if tuple(ids) in self._kept:
            return self._kept[tuple(ids)]
        with torch.no_grad():
            found: Floats = self._model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float().numpy()
        if sum(array.nbytes for array in self._kept.values()) + found.nbytes < _KEPT_BYTES:
            self._kept[tuple(ids)] = found
        return found

    def answer(self, messages: list[dict[str, Any]]) -> str:
        """What it says, always taking the likeliest token."""
        return generate(self._model, self._tokenizer, self._tokenizer.encode_prompt(messages), sampling=_ANSWER)


def answer_of_file(file: Path, messages: list[dict[str, Any]]) -> str:
    """What an exported file says, always taking the likeliest token; "" when it cannot be talked to."""
    parts: list[str] = []
    try:
        with JobProcess("chat", {"source": str(file)}) as job:
            job.tell(Say(turn=1, messages=messages, sampling=_ANSWER.model_dump(exclude_none=True)))
            for event in job:
                if isinstance(event, Token):
                    parts.append(event.text)
                if isinstance(event, Notice) or (isinstance(event, Token) and event.finish):
                    break
    except (WorkerFailed, UserError):  # the comparison before it is the verdict; this is a look
        return ""
    return "".join(parts)


def _dtype_that_fits(tuned: Tuned) -> str | None:
    """fp32 where there is room, else the dtype that it is stored in, else nothing."""
    facts = read_facts(tuned.base)
    free = psutil.virtual_memory().available * _MEMORY_SHARE
    if facts.num_parameters * 4 < free:
        return "float32"
    return "auto" if facts.weight_bytes < free else None


def _of_run(run: Run, context: Context) -> Trial:
    parts = open_run(run)
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
        return Trial([row for row in rows if len(row.ids) > 1], first_conversation(parts, data) if rows else [])
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
