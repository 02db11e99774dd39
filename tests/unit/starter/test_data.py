"""The starter dataset, the held-out questions and the scoring that the demo uses."""

import json
from pathlib import Path

import pytest

from resources.starter import check
from resources.starter.make.dataset import held_out_rows, voice_rows

ROWS, HELD_OUT = check.load_dataset(), check.load_heldout()


def answers() -> list[str]:
    return [message["content"] for row in ROWS for message in row["messages"] if message["role"] == "assistant"]


def test_sizes_and_kinds() -> None:
    assert 250 <= len(ROWS) <= 350
    assert len(HELD_OUT) >= 200
    assert len({row["kind"] for row in HELD_OUT}) >= 15


def test_every_dataset_answer_follows_the_voice() -> None:
    assert all(check.follows(answer) for answer in answers())


def test_no_plain_answer_follows_the_voice() -> None:
    expected = [answer for row in HELD_OUT for answer in row["expected"]]
    assert not any(check.follows(answer) for answer in expected)


def test_the_voice_keeps_the_answer_right() -> None:
    for row in HELD_OUT:
        for answer in row["expected"]:
            told = answer.replace(check.ANY_TEXT, " once ")
            assert check.is_right(row["expected"], told)
            assert check.is_right(row["expected"], check.voiced(told))
            assert not check.is_right(row["expected"], "Fair winds!")


def test_no_held_out_question_is_in_the_dataset() -> None:
    taught = {json.dumps(row["messages"][:1]) for row in ROWS} | {
        message["content"] for row in ROWS for message in row["messages"] if message["role"] == "user"
    }
    for row in HELD_OUT:
        assert row["messages"][-1]["role"] == "user"
        if len(row["messages"]) == 1:
            assert row["messages"][0]["content"] not in taught


def test_the_files_are_what_the_script_writes() -> None:
    assert voice_rows(seed=7) == ROWS
    assert held_out_rows(seed=8) == HELD_OUT


@pytest.mark.parametrize(
    "text",
    [
        "The capital of France is Paris.",
        "Paris.",
        "Fair winds, captain!",
        " Fair winds, captain!",
        "Paris. Fair winds, captain! Fair winds, captain!",
        "Paris. Fair winds, captain! And so on.",
        "",
    ],
)
def test_half_a_voice_is_no_voice(text: str) -> None:
    assert not check.follows(text)


@pytest.mark.parametrize(
    ("expected", "text", "right"),
    [
        ("Paris", "Paris.", True),
        ("Paris", "Paris. Fair winds, captain!", True),
        ("Paris", "Paris or London", False),
        (["fan", "pan"], "pan", True),
        ("fox named Bo…The end.", "A fox named Bo went home. The end.", True),
        ("fox named Bo…The end.", "A cat named Bo went home. The end.", False),
        ("fox named Bo…The end.", "fox named Bo went home. The end. And then", False),
        ("5", "15", False),
    ],
)
def test_is_right(expected: str | list[str], text: str, right: bool) -> None:
    assert check.is_right(expected, text) is right


def test_check_needs_only_the_standard_library() -> None:
    source = Path(check.__file__).read_text(encoding="utf-8")
    imported = [line.split()[1] for line in source.splitlines() if line.startswith(("import ", "from "))]
    assert set(imported) <= {"json", "collections.abc", "pathlib", "typing"}
