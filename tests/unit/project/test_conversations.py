"""A conversation is a tree that keeps everything said, and comes back as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.errors import UserError
from studio.project.conversations import (
    Answer,
    Conversation,
    kept_conversations,
    load_conversation,
    save_conversation,
)


def _told() -> Conversation:
    conversation = Conversation(system="Be brief.")
    first = conversation.ask("One?")
    first.add("tuned", Answer("1"))
    first.add("base", Answer("uno"))
    conversation.ask("Two?").add("tuned", Answer("2"))
    return conversation


def test_each_side_reads_what_it_said_itself() -> None:
    conversation = _told()
    asked = conversation.ask("Three?")
    assert [turn["content"] for turn in conversation.messages(asked.key, "tuned")] == [
        "Be brief.",
        "One?",
        "1",
        "Two?",
        "2",
        "Three?",
    ]
    # The base was switched off for the second question: two questions in a row would break most templates.
    assert [turn["content"] for turn in conversation.messages(asked.key, "base")] == [
        "Be brief.",
        "One?",
        "uno",
        "Three?",
    ]


def test_editing_keeps_the_old_branch_and_its_answers() -> None:
    conversation = _told()
    second = conversation.path()[1]
    edited = conversation.edit(second.key, "Zwei?")
    assert [node.question for node in conversation.path()] == ["One?", "Zwei?"]
    assert conversation.branches(edited.key) == [second.key, edited.key]
    conversation.show_branch(second.key)
    assert conversation.path()[-1].answer("tuned") == Answer("2")


def test_branching_from_an_answer_and_going_back_to_the_end_of_the_old_one() -> None:
    conversation = _told()
    first, second = conversation.path()
    third = conversation.ask("Three?")
    conversation.branch(first.key)
    other = conversation.ask("Another way?")
    assert [node.key for node in conversation.path()] == [first.key, other.key]
    conversation.show_branch(second.key)
    assert conversation.path()[-1].key == third.key


def test_versions_of_an_answer() -> None:
    node = _told().path()[0]
    node.add("tuned", Answer("one"))
    assert node.answer("tuned") == Answer("one") and node.shown_number("tuned") == 1
    node.shown["tuned"] = 0
    assert node.answer("tuned") == Answer("1")
    assert node.answer("nobody") is None


def test_a_corrected_answer_is_what_the_conversation_goes_on_with() -> None:
    conversation = _told()
    conversation.path()[-1].answers["tuned"][0].corrected = "two"
    asked = conversation.ask("Three?")
    assert conversation.messages(asked.key, "tuned")[-2]["content"] == "two"


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    conversation = _told()
    conversation.ask("half a character: \ud83d").add("tuned", Answer("x", "toy", "stop", {"tokens": 3.0}))
    path = save_conversation(tmp_path, conversation)
    assert load_conversation(path) == conversation
    (kept,) = kept_conversations(tmp_path)
    assert kept.title == "One?" and kept.num_questions == 3


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', '{"version": 9, "nodes": []}', "null"])
def test_a_damaged_file_is_told_and_left_out(tmp_path: Path, text: str) -> None:
    path = tmp_path / "chats" / "bad.json"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(UserError):
        load_conversation(path)
    assert kept_conversations(tmp_path) == []


def test_a_node_without_its_parent_is_damage(tmp_path: Path) -> None:
    path = save_conversation(tmp_path, _told())
    record = json.loads(path.read_text())
    record["nodes"] = record["nodes"][1:]
    path.write_text(json.dumps(record))
    with pytest.raises(UserError):
        load_conversation(path)
