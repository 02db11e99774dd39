"""Rows of tokens: counted, split, cached by content, refused when they cannot be used, growing while they are read."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.data import cache, growing, training_data
from studio.data.source import first_rows, open_source
from studio.data.token_store import StoreReader
from studio.data.training_data import DataRequest, TrainingData, num_heldout, open_training_data
from studio.errors import Cancelled, UserError
from studio.formats import recognise
from studio.models.tokenizer import ChatTokenizer
from tests.helpers.templates import write_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> ChatTokenizer:
    return ChatTokenizer.load(write_tokenizer(tmp_path_factory.mktemp("tokenizer"), "chatml"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_HOME", str(tmp_path / "home"))


def row(at: int, answer: str = "") -> dict[str, Any]:
    return {"question": f"What is {at}?", "answer": answer or f"A number {'and more ' * (at % 5)}{at}."}


def write(folder: Path, rows: Sequence[object]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8")
    return path


def opened(path: Path, tokenizer: ChatTokenizer, **settings: Any) -> TrainingData:
    fmt = recognise(first_rows(open_source(path)), {"question": "question", "answer": "answer"})
    return open_training_data(DataRequest(path, **settings), fmt, tokenizer)


def set_window(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(training_data, "WINDOW_ROWS", rows)
    monkeypatch.setattr(growing, "WINDOW_ROWS", rows)


def test_splits_by_seed_and_keeps_row_numbers(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    path = write(tmp_path, [row(at) for at in range(100)])
    with opened(path, tokenizer, holdout=0.1, seed=3) as data, opened(path, tokenizer, holdout=0.1, seed=3) as again:
        heldout = [data.heldout.row(at).row_number for at in range(len(data.heldout))]
        train = [data.train.row(at).row_number for at in range(len(data.train))]
        assert sorted(heldout + train) == list(range(1, 101)) and len(heldout) == 10
        assert heldout == [again.heldout.row(at).row_number for at in range(10)]
        assert data.report.used == 100 and data.report.heldout == 10 and data.report.is_complete
    with opened(path, tokenizer, holdout=0.1, seed=4) as other:
        assert heldout != [other.heldout.row(at).row_number for at in range(10)]


def test_a_row_is_what_was_rendered(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    with opened(write(tmp_path, [row(0), row(1)]), tokenizer, holdout=0) as data:
        first = data.train.row(0)
        assert tokenizer.decode(first.ids[first.trained], skip_special=False) == "A number 0.<|im_end|>"
        assert first.ids.dtype == np.int32 and first.trained.dtype == np.bool_
        assert data.report.trained_tokens == sum(int(data.train.row(at).trained.sum()) for at in range(2))


def test_is_cached_by_content_and_by_what_decides_the_tokens(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    path = write(tmp_path, [row(at) for at in range(10)])
    assert not opened(path, tokenizer).report.from_cache
    moved = path.rename(tmp_path / "moved.jsonl")
    assert opened(moved, tokenizer).report.from_cache
    assert opened(moved, tokenizer, seed=1, holdout=2, bad_rows="skip").report.from_cache
    assert not opened(moved, tokenizer, max_length=20).report.from_cache
    moved.write_text(moved.read_text() + json.dumps(row(11)) + "\n")
    assert not opened(moved, tokenizer).report.from_cache


def test_an_unfinished_store_is_made_again(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    path = write(tmp_path, [row(at) for at in range(10)])
    opened(path, tokenizer).close()
    (manifest,) = cache.tokens_dir().glob("*/manifest.json")
    manifest.unlink()
    (manifest.parent / "ids.bin").write_bytes(b"\1\2\3")
    with opened(path, tokenizer, holdout=0) as data:
        assert not data.report.from_cache and len(data.train) == 10


def test_refuses_bad_rows_with_file_line_and_reason(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    rows = [row(0), row(1, " "), "nonsense", row(3), {"question": None, "answer": "x"}, {"answer": ["x"]}]
    path = write(tmp_path, rows)
    with pytest.raises(UserError) as caught:
        opened(path, tokenizer)
    error = caught.value
    assert error.message == "4 of 6 rows of rows.jsonl cannot be used."
    assert 'data.bad_rows to "skip" to use the 2 good rows' in error.hint
    assert [str(problem) for problem in error.problems] == [
        'rows.jsonl:2: The row has an empty "answer".',
        "rows.jsonl:3: The row is not JSON: Expecting value at character 1.",
        'rows.jsonl:5: The row has an empty "question".',
        'rows.jsonl:6: The row has no "question".',
    ]
    with opened(path, tokenizer, bad_rows="skip", holdout=0) as data:
        assert len(data.train) == 2 and data.report.num_bad == 4 and data.report.bad[0].number == 2
        assert data.report.notes()[0][0] == (
            '4 of 6 rows were set aside; the first is line 2, which has an empty "answer".'
        )


def test_names_at_most_twenty_of_many(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    with pytest.raises(UserError, match=r"50 of 51 rows of rows.jsonl cannot be used\. The first 20 are") as caught:
        opened(write(tmp_path, [row(0), *[row(1, " ")] * 50]), tokenizer)
    assert len(caught.value.problems) == 20


def test_refuses_when_nothing_is_left(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    with pytest.raises(UserError, match="can be used"):
        opened(write(tmp_path, [row(1, " ")] * 3), tokenizer, bad_rows="skip")


def test_cut_rows_are_counted(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    path = write(tmp_path, [row(1, "long " * 100), row(2, "x")])
    with opened(path, tokenizer, max_length=60, holdout=0) as data:
        assert data.report.num_cut == 1 and len(data.train.row(0).ids) == 60
        assert data.report.notes()[0][0] == "1 of 2 rows are too long and were cut."
        assert data.report.summary().startswith("2 of 2 rows are ready, 0 of them held out: ")


def test_holding_out() -> None:
    assert [num_heldout(0.05, 1000), num_heldout(0.05, 5), num_heldout(0.9, 2), num_heldout(0.05, 1)] == [50, 1, 1, 0]
    assert num_heldout(0, 100) == 0 and num_heldout(7, 100) == 7 and num_heldout(0.5, 10**6) == 5000
    with pytest.raises(UserError, match="keeps 100 rows aside, but there are only 100"):
        num_heldout(100, 100)


def test_a_large_file_grows_in_a_process_of_its_own(
    tmp_path: Path, tokenizer: ChatTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_data, "_SMALL_ROWS", 100)
    set_window(monkeypatch, 1000)
    rows = [row(at) for at in range(6000)]
    path = write(tmp_path, [*rows[:5000], "nonsense", *rows[5001:]])
    with opened(path, tokenizer, holdout=0.5) as data:
        child = data._child
        assert child is not None and data.train.available() > 300
        early = [data.heldout.row(at).row_number for at in range(len(data.heldout))]
        planned = data.train.expected()
        last = data.train.row(2900)
        assert tokenizer.decode(last.ids).startswith("user\nWhat is")
        assert len(data.train) + len(data.heldout) == 5999
        assert data.report.is_complete and data.report.num_bad == 1 and data.report.rows == 6000
        assert child.wait(20) == 0
        with opened(path, tokenizer, holdout=0.5) as again:
            assert again.report.from_cache
            assert again.train.row(2900).row_number == last.row_number
            assert [again.heldout.row(at).row_number for at in range(len(again.heldout))] == early
            assert (again.heldout.row(7).ids == data.heldout.row(7).ids).all()
            assert again.train.expected() == planned and abs(planned - 3000) < 200


def test_leaving_early_stops_the_process_and_the_next_start_begins_anew(
    tmp_path: Path, tokenizer: ChatTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_data, "_SMALL_ROWS", 100)
    set_window(monkeypatch, 100)
    path = write(tmp_path, [row(at) for at in range(30_000)])
    data = opened(path, tokenizer, holdout=0)
    folder = data.store._folder
    data.close()
    assert not (folder / "manifest.json").exists()
    assert StoreReader(folder).num_rows in (0, 30_000)
    with opened(path, tokenizer, holdout=0) as again:
        assert again.train.row(200).row_number == 201


def test_several_processes_share_one_tokenising(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    """As the ranks of one run do: all open the same file at once, and each gets all of its rows."""
    path = write(tmp_path, [row(at) for at in range(3000)])
    code = f"""
from pathlib import Path
from studio.data import training_data
from studio.data.source import first_rows, open_source
from studio.formats import recognise
from studio.models.tokenizer import ChatTokenizer
training_data._SMALL_ROWS = 100
path = Path({str(path)!r})
fmt = recognise(first_rows(open_source(path)))
request = training_data.DataRequest(path)
with training_data.open_training_data(request, fmt, ChatTokenizer.load(Path({str(tokenizer.folder)!r}))) as data:
    print(len(data.train), len(data.heldout), sum(int(data.train.row(at).ids.sum()) for at in range(2850)))
"""
    root = Path(__file__).parents[3]
    ranks = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=root) for _ in range(3)]
    said = [rank.communicate()[0] for rank in ranks]
    assert said[0].startswith(b"2850 150 ") and said == [said[0]] * 3


def test_damage_further_on_is_said_by_whoever_waits(
    tmp_path: Path, tokenizer: ChatTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gzip

    monkeypatch.setattr(training_data, "_SMALL_ROWS", 100)
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(row(at)) + "\n" for at in range(5000)).encode())[:-3000])
    with pytest.raises(UserError, match="gzip data ends early"):
        opened(path, tokenizer)


def test_stops_when_asked(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    path = write(tmp_path, [row(at) for at in range(100)])
    fmt = recognise(first_rows(open_source(path)))
    with pytest.raises(Cancelled):
        open_training_data(DataRequest(path), fmt, tokenizer, is_cancelled=lambda: True)


def test_the_oldest_entries_leave_a_full_cache(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    folders = []
    for at in range(3):
        with opened(write(tmp_path, [row(at), row(at + 1)]), tokenizer) as data:
            folders.append(data.store._folder)
        time.sleep(0.01)
    cache.touch(folders[0], max_bytes=1)
    assert [(folder / "manifest.json").exists() for folder in folders] == [True, False, False]
