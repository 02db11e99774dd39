"""What the model sees of a row: the same tokens and flags as training, and counts that add up."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from studio.data.encoding import EncodingSettings, encode_example
from studio.data.store.editing import row_texts, with_texts
from studio.data.store.seen import SeenRow, see_row
from studio.formats import FORMATS, Recognised
from studio.models.source import starter_model
from studio.models.tokenizer import ChatTokenizer

READER = Recognised(FORMATS.get("messages"), {"messages": "messages"}, "")
ROW: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": "Where is my 🚲 bike? Größe 54."},
        {"role": "assistant", "content": "On its way.\nIt comes tomorrow."},
        {"role": "user", "content": "Thanks"},
    ]
}


@pytest.fixture(scope="module")
def tokenizer() -> ChatTokenizer:
    return ChatTokenizer.load(starter_model())


@pytest.mark.parametrize("truncation", ["end", "start"])
@pytest.mark.parametrize("max_length", [0, 12, 45, 1000])
def test_flags_and_counts_are_those_of_training(tokenizer: ChatTokenizer, max_length: int, truncation: Any) -> None:
    settings = EncodingSettings("answers", truncation, max_length)
    seen = see_row(ROW, READER, tokenizer, settings)
    assert seen.trained + seen.read + seen.cut == len(seen.tokens)
    if seen.problem:
        assert "before anything to learn" in seen.problem
        return
    row = encode_example(READER.read(ROW), tokenizer, settings)
    kept = [token for token in seen.tokens if token.kind != "cut"]
    assert [token.id for token in kept] == row.ids.tolist()
    assert [token.kind == "trained" for token in kept[1:]] == row.trained[1:].tolist()
    assert (seen.trained, seen.cut) == (row.num_trained, row.num_cut)


def test_the_tokens_give_the_whole_text(tokenizer: ChatTokenizer) -> None:
    seen = see_row(ROW, READER, tokenizer, EncodingSettings())
    row = encode_example(READER.read(ROW), tokenizer, EncodingSettings())
    assert "".join(token.text for token in seen.tokens) == row.text
    assert any(token.is_special for token in seen.tokens)


def test_a_row_cut_before_its_answer_still_shows_its_tokens_and_says_why(tokenizer: ChatTokenizer) -> None:
    seen = see_row(ROW, READER, tokenizer, EncodingSettings(max_length=8))
    assert "before anything to learn" in seen.problem and seen.cut > 0 and seen.read == 8


def test_a_broken_row_says_why(tokenizer: ChatTokenizer) -> None:
    assert "no turns" in see_row({"messages": []}, READER, tokenizer, EncodingSettings()).problem


def test_a_seen_row_survives_the_wire(tokenizer: ChatTokenizer) -> None:
    seen = see_row(ROW, READER, tokenizer, EncodingSettings(max_length=30))
    again = SeenRow.from_dict(json.loads(json.dumps(seen.as_dict())))
    assert again == replace(seen, example=None)


def test_texts_of_a_row_can_be_rewritten_in_their_places() -> None:
    row = {"id": 7, "note": "n", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}
    texts = row_texts(row)
    assert [(text.label, text.text) for text in texts] == [("note", "n"), ("human", "a"), ("gpt", "b")]
    changed = with_texts(row, [type(texts[2])(texts[2].path, "gpt", "B")])
    assert changed["conversations"][1] == {"from": "gpt", "value": "B"} and row["conversations"][1]["value"] == "b"
