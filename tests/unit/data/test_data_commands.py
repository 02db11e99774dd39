"""`tunesmith data`: what a person sees of a file before any run, and the exit codes when it is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.cli import run
from studio.data.statistics import histogram
from tests.helpers.templates import write_tokenizer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tokenizer(tmp_path_factory.mktemp("model"), "chatml_plain"))


@pytest.fixture
def rows(tmp_path: Path) -> str:
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps({"question": f"What is {at}?", "answer": f"Ten and {at % 3}."}) for at in range(30)]
    path.write_text("\n".join([*lines, lines[0], "nonsense"]), encoding="utf-8")
    return str(path)


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert run(["data", *arguments]) == code
    output = capsys.readouterr()
    return output.err if code else output.out


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(said(capsys, *arguments, "--json"))


def test_inspect_names_container_format_reason_and_broken_rows(capsys: pytest.CaptureFixture[str], rows: str) -> None:
    text = said(capsys, "inspect", rows)
    assert "JSONL, utf-8" in text and "32 rows" in text
    assert 'Format: question_answer (Question and answer). There are the columns "question" and "answer".' in text
    assert "rows.jsonl:32: The row is not JSON" in text
    assert "What is 2?" in text and "What is 3?" not in text


def test_inspect_as_json(capsys: pytest.CaptureFixture[str], rows: str) -> None:
    found = as_json(capsys, "inspect", rows)
    assert (found["rows"], found["broken"], found["format"]) == (32, 1, "question_answer")
    assert found["roles"] == {"question": "question", "answer": "answer"}
    assert found["problems"] == [{"line": 32, "problem": "is not JSON: Expecting value at character 1"}]


def test_inspect_goes_on_without_a_format(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("frage,antwort\nQ,A\n")
    assert "none settled. These rows fit no known format. Their columns are: frage, antwort." in said(
        capsys, "inspect", str(path)
    )
    text = said(capsys, "inspect", str(path), "--column", "question=frage", "--column", "answer=antwort")
    assert "question <- frage" in text


def test_render_shows_what_is_learned_without_relying_on_colour(
    capsys: pytest.CaptureFixture[str], rows: str, model: str
) -> None:
    text = said(capsys, "render", rows, "--model", model, "--row", "3")
    assert "<|im_start|>assistant\n⟦Ten and 2.<|im_end|>⟧" in text
    shown = as_json(capsys, "render", rows, "--model", model, "--row", "3")
    learned = [token for token, trained in zip(shown["tokens"], shown["trained"], strict=True) if trained]
    assert "".join(learned) == "Ten and 2.<|im_end|>" and shown["num_trained"] == len(learned)
    assert "".join(piece["text"] for piece in shown["pieces"]) == shown["text"]


def test_render_shows_what_is_cut(capsys: pytest.CaptureFixture[str], rows: str, model: str) -> None:
    shown = as_json(capsys, "render", rows, "--model", model, "--max-length", "24")
    assert shown["num_tokens"] == 24 and shown["num_cut"] > 0
    assert shown["pieces"][-1]["kind"] == "cut"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--row", "33"], "has no row in line 33. It ends before that."),
        (["--row", "32"], "rows.jsonl:32: The row is not JSON"),
        (["--train-on", "answer"], 'Did you mean "answers"?'),
        (["--max-length", "10"], "was cut at 10, before anything to learn"),
        (["--format", "alpaca"], 'The format "alpaca" needs a column for instruction'),
    ],
)
def test_wrong_input_is_code_two_and_a_sentence(
    capsys: pytest.CaptureFixture[str], rows: str, model: str, arguments: list[str], sentence: str
) -> None:
    assert sentence in said(capsys, "render", rows, "--model", model, *arguments, code=2)


def test_stats_count_tokens_duplicates_and_bad_rows(capsys: pytest.CaptureFixture[str], rows: str, model: str) -> None:
    figures = as_json(capsys, "stats", rows, "--model", model)
    assert (figures["unit"], figures["rows"], figures["bad"], figures["duplicates"]) == ("tokens", 32, 1, 1)
    assert sum(count for _, _, count in figures["histogram"]) == 31
    assert 0 < figures["trained"] < figures["total"]
    assert "Duplicates: 1" in said(capsys, "stats", rows)


def test_histogram_keeps_a_long_tail_in_its_last_bin() -> None:
    bins = histogram(np.array([1, 2, 3] * 100 + [5000], dtype=np.int64))
    assert bins == [(1, 2, 100), (2, 3, 100), (3, 4, 100), (4, 5001, 1)]
    assert histogram(np.array([], dtype=np.int64)) == []
