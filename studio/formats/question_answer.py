"""Question and answer: two columns of text. A context column is used only when it is mapped by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from studio.data import columns as cols
from studio.data import fields
from studio.data.conversation import Example
from studio.formats import Format, Guess

# Pairs of names that mean a question and its answer, with how surely they do.
_PAIRS = (
    (("question", "questions"), ("answer", "answers"), 0.95),
    (("question", "query", "user", "human"), ("response", "answer", "assistant", "bot", "reply", "output"), 0.9),
    (("q",), ("a",), 0.9),
    (("input",), ("output", "response", "target"), 0.8),
    (("source",), ("target",), 0.7),
)


def _guess(rows: Sequence[Mapping[str, Any]]) -> Guess:
    for questions, answers, score in _PAIRS:
        question, answer = cols.find(rows, questions, cols.is_text), cols.find(rows, answers, cols.is_text)
        if question and answer:
            return _found(rows, question, answer, score)
    return Guess(0, {}, 'Looked for two columns such as "question" and "answer".')


def _found(rows: Sequence[Mapping[str, Any]], question: str, answer: str, score: float) -> Guess:
    found = {"question": question, "answer": answer}
    if system := cols.find(rows, ("system", "system_prompt"), cols.may_be_text):
        found["system"] = system
    reason = f"There are the columns {cols.quoted(list(found.values()))}."
    if "instruction" in (name.lower() for name in cols.column_names(rows)):
        return Guess(score - 0.3, found, reason)  # those are the parts of an instruction row
    context = cols.find(rows, ("context", "passage"), cols.may_be_text)
    if context:
        reason += f' The column "{context}" is not used; map it with data.columns.context={context} if it belongs.'
    return Guess(score, found, reason)


def _read(row: Mapping[str, Any], columns: Mapping[str, str]) -> Example:
    question = fields.text_of(row, columns["question"])
    context = fields.optional_text(row, columns.get("context"))
    asked = f"{context}\n\n{question}" if context.strip() else question
    system = fields.optional_text(row, columns.get("system"))
    return Example(messages=fields.question_and_answer(system, asked, fields.text_of(row, columns["answer"])))


def _write(example: Example, columns: Mapping[str, str]) -> dict[str, Any]:
    head, question, answer = fields.one_exchange(example.messages, columns)
    return {columns["question"]: question, columns["answer"]: answer, **head}


FORMAT = Format(
    key="question_answer",
    title="Question and answer",
    summary="A column of questions and one of answers, whatever they are called.",
    roles={
        "question": "what is asked",
        "answer": "the answer to learn",
        "context?": "text that the question is about; put before it",
        "system?": "a system prompt",
    },
    sample={"question": "What is the capital of France?", "answer": "Paris."},
    guess=_guess,
    read=_read,
    write=_write,
)
