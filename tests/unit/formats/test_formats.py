"""Rows as people have them, format by format, and how a format is settled."""

from __future__ import annotations

import re
from typing import Any

import pytest

from studio.data.conversation import Example, Message, RowError
from studio.errors import UserError
from studio.formats import recognise

Row = dict[str, Any]


def said(example: Example) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in example.messages]


QA = [("user", "Q?"), ("assistant", "A.")]


@pytest.mark.parametrize(
    ("row", "key", "wanted"),
    [
        ({"conversation": [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "A."}]}, "messages", QA),
        ({"messages": '[{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "A."}]'}, "messages", QA),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "Q"}, {"type": "text", "text": "?"}]},
                    {"role": "assistant", "content": "A."},
                ]
            },
            "messages",
            QA,
        ),
        ({"conversations": [{"from": "human", "value": "Q?"}, {"from": "gpt", "value": "A."}]}, "sharegpt", QA),
        ({"instruction": "Q?", "input": "", "output": "A.", "text": "### Q? ### A."}, "alpaca", QA),
        (
            {"instruction": "Q?", "context": "C", "response": "A.", "category": "x"},
            "alpaca",
            [("user", "Q?\n\nC"), QA[1]],
        ),
        ({"prompt": "Q?", "completion": "A."}, "prompt_completion", QA),
        ({"prompt": "Q?", "response": "A.", "system": "S"}, "prompt_completion", [("system", "S"), *QA]),
        (
            {"prompt": [{"role": "user", "content": "Q?"}], "completion": [{"role": "assistant", "content": "A."}]},
            "prompt_completion",
            QA,
        ),
        ({"Question": "Q?", "Answer": "A.", "id": 3}, "question_answer", QA),
        ({"question": "Q?", "answer": "A.", "context": "ignored unless mapped"}, "question_answer", QA),
        ({"query": "Q?", "response": "A."}, "question_answer", QA),
        ({"question": "Q?", "answer": 7}, "question_answer", [QA[0], ("assistant", "7")]),
        ({"prompt": "Q?", "chosen": "A.", "rejected": "B."}, "preference", QA),
        (
            {
                "chosen": [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "A."}],
                "rejected": [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "B."}],
            },
            "preference",
            QA,
        ),
        (
            {
                "prompt": "Q?",
                "chosen": [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "A."}],
                "rejected": [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "B."}],
                "messages": [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "A."}],
            },
            "preference",
            QA,
        ),
    ],
)
def test_reads_rows_as_people_have_them(row: Row, key: str, wanted: list[tuple[str, str]]) -> None:
    found = recognise([row] * 5)
    assert found.format.key == key
    assert said(found.read(row)) == wanted


def test_preference_keeps_the_rejected_answer() -> None:
    row = {"prompt": "Q?", "chosen": "A.", "rejected": "B."}
    assert recognise([row]).read(row).rejected == Message("assistant", "B.")


def test_tools_and_calls_are_kept() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}', "extra": None}}
    row = {
        "messages": [
            {"role": "user", "content": "Q?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "content": "7", "tool_call_id": "1", "name": None},
            {"role": "assistant", "content": "A.", "tool_calls": None},
        ],
        "tools": '[{"type": "function", "function": {"name": "f"}}]',
    }
    example = recognise([row]).read(row)
    assert example.tools == ({"type": "function", "function": {"name": "f"}},)
    wanted = {"id": "1", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
    assert dict(example.messages[1].extra) == {"tool_calls": [wanted]}
    assert dict(example.messages[2].extra) == {"tool_call_id": "1"}


def test_a_sharegpt_function_call_becomes_a_tool_call() -> None:
    row = {
        "conversations": [
            {"from": "human", "value": "Q?"},
            {"from": "function_call", "value": '{"name": "f", "arguments": {"x": 1}}'},
            {"from": "observation", "value": "7"},
            {"from": "gpt", "value": "A."},
        ]
    }
    example = recognise([row]).read(row)
    assert [message.role for message in example.messages] == ["user", "assistant", "tool", "assistant"]
    assert example.messages[1].extra[0][1][0]["function"] == {"name": "f", "arguments": {"x": 1}}


@pytest.mark.parametrize(
    ("key", "row", "reason"),
    [
        ("messages", {"messages": None}, 'no turns in "messages"'),
        ("messages", {"messages": 3}, "has a number in"),
        ("messages", {"messages": [{"role": "user", "content": "Q?"}]}, "no answer"),
        (
            "messages",
            {"messages": [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": " "}]},
            "empty answer",
        ),
        ("messages", {"messages": [{"role": "wizard", "content": "Q?"}]}, "unknown role in turn 1: 'wizard'"),
        ("messages", {"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "only text can be trained on"),
        ("question_answer", {"question": "Q?", "answer": ""}, 'has an empty "answer"'),
        ("question_answer", {"question": {"a": 1}, "answer": "A."}, 'a nested object in "question"'),
        ("preference", {"chosen": "A.", "rejected": "B."}, "no question"),
        ("text", {"text": "\n "}, 'an empty "text"'),
    ],
)
def test_says_why_a_row_is_bad(key: str, row: Row, reason: str) -> None:
    columns = {name: name for name in row}
    with pytest.raises(RowError, match=reason):
        recognise([row], columns, key).read(row)


def test_nothing_fits_lists_what_was_looked_for_and_what_is_there() -> None:
    with pytest.raises(UserError) as caught:
        recognise([{"titel": "x", "frage": "Q?", "antwort": "A."}])
    assert "titel, frage, antwort" in caught.value.message
    assert 'question_answer: Looked for two columns such as "question" and "answer".' in str(caught.value)


def test_a_tie_is_not_decided_in_silence() -> None:
    row = {"question": "Q?", "answer": "A.", "prompt": "P", "completion": "C"}
    with pytest.raises(UserError, match="more than one format equally well: prompt_completion, question_answer"):
        recognise([row])
    assert recognise([row], key="question_answer").read(row).messages[0].content == "Q?"


def test_columns_override_the_guess() -> None:
    row = {"titel": "x", "frage": "Q?", "antwort": "A."}
    found = recognise([row], {"question": "frage", "answer": "antwort"})
    assert found.format.key == "question_answer" and said(found.read(row)) == QA
    with_context = {"question": "Q?", "answer": "A.", "context": "C"}
    assert "not used" in recognise([with_context]).reason
    found = recognise([with_context], {"context": "context"})
    assert said(found.read(with_context))[0] == ("user", "C\n\nQ?")


@pytest.mark.parametrize(
    ("columns", "key", "sentence"),
    [
        ({"question": "qestion"}, "auto", r'no column "qestion".*Did you mean "question"'),
        ({"questoin": "question"}, "auto", r"No format has all of the roles questoin.*question"),
        ({"chosen": "question"}, "question_answer", 'has no role "chosen"'),
        ({}, "preference", "needs a column for chosen and rejected"),
        ({}, "alpacca", 'no data format "alpacca".*alpaca'),
    ],
)
def test_a_wrong_mapping_is_said(columns: dict[str, str], key: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        recognise([{"question": "Q?", "answer": "A."}], columns, key)
    assert re.search(sentence, str(caught.value), re.DOTALL)
