"""The row store: importing any file, reading it while it grows, searching, sorting, filtering, damage."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from studio.data.encoding import EncodingSettings
from studio.data.store import importing
from studio.data.store.digest import Mark
from studio.data.store.findings import figures, findings
from studio.data.store.head import read_head
from studio.data.store.importing import import_rows, store_folder
from studio.data.store.lengths import count_lengths, lengths_path, read_lengths
from studio.data.store.reading import FIRST_ORDER, RowStore, rare_tail
from studio.data.store.view import Query, Rows, Split, select
from studio.errors import Cancelled, UserError
from studio.formats import recognise
from studio.models.source import starter_model
from studio.models.tokenizer import ChatTokenizer


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNESMITH_HOME", str(tmp_path / "home"))
    return tmp_path


def turn(question: str, answer: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def write(path: Path, rows: list[Any]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def imported(path: Path) -> tuple[RowStore, Any]:
    reader = recognise(read_head(path).good)
    folder = store_folder(path, reader)
    import_rows(path, reader, folder)
    return RowStore(folder), reader


def rows_of(store: RowStore, **split: Any) -> Rows:
    return Rows(store.columns(), counted=store.counted, split=Split(**split))


ROWS = [
    turn("Where is my order?", "On its way."),
    '{"messages": [',
    turn("Straße gesperrt?", "Ja, die STRASSE ist zu. 🚲"),
    turn("where is my order", "On its way!"),
    turn("Write to me@example.org", "Gladly."),
    turn("Is it blue?", "is it blue"),
    {"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": " "}]},
]


def test_every_row_is_there_good_or_set_aside_with_its_line_and_reason(tmp_path: Path) -> None:
    store, _ = imported(write(tmp_path / "rows.jsonl", ROWS))
    lines = store.page(range(7))
    assert [line.number for line in lines] == [1, 2, 3, 4, 5, 6, 7]
    assert [bool(line.marks & Mark.SET_ASIDE) for line in lines] == [False, True, False, False, False, False, True]
    assert "not closed" in lines[1].first and "empty answer (turn 2)" in lines[6].first
    assert lines[0].first == "Where is my order?" and lines[0].turns == 2
    assert store.row(0) == ROWS[0] and store.row(1) is None and store.row(6) == ROWS[6]


@pytest.mark.parametrize(
    ("wanted", "tail"),
    [(" 500001?", "500001?"), ("river city", "ver city"), ("ab", "ab"), (" a", " a"), ("", ""), ("река", "река")],
)
def test_a_search_begins_at_its_rarest_sign(wanted: str, tail: str) -> None:
    assert rare_tail(wanted) == tail and wanted.endswith(tail)


def test_what_only_ends_as_the_search_does_is_not_found(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [turn(f"What is {at}?", "Over city") for at in (51, 151, 510)])
    store, _ = imported(path)
    assert store.search(" 51?").tolist() == [0] and store.search("51?").tolist() == [0, 1]
    assert store.search("river city").tolist() == [] and store.search("ver city").tolist() == [0, 1, 2]


def test_a_search_that_is_stopped_ends_at_once_and_the_next_one_finds(tmp_path: Path) -> None:
    store, _ = imported(write(tmp_path / "rows.jsonl", [turn(f"What is {at}?", "Over city") for at in range(5000)]))
    stopped, is_late = threading.Event(), threading.Event()

    def search_on() -> None:
        with pytest.raises(Cancelled):
            while not is_late.is_set():
                store.search("of which there is none")
        stopped.set()

    searching = threading.Thread(target=search_on)
    searching.start()
    until = time.monotonic() + 30
    while not stopped.is_set() and time.monotonic() < until:
        store.stop_searches()
    is_late.set()
    searching.join()
    assert stopped.is_set()
    assert store.search("is 4999?").tolist() == [4999]


def test_a_store_that_nothing_was_written_to_yet_is_searched(tmp_path: Path) -> None:
    assert RowStore(tmp_path).search("anything").tolist() == []


def test_rows_whose_files_are_gone_say_so(tmp_path: Path) -> None:
    store, _ = imported(write(tmp_path / "rows.jsonl", [turn("What is 1 and 1?", "2.")]))
    for part in store.folder.glob("part-*.parquet"):
        part.unlink()
    with pytest.raises(UserError, match="not there any more"):
        store.row(0)


def test_rows_whose_files_are_damaged_say_so_and_are_imported_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [turn("What is 1 and 1?", "2.")])
    store, _ = imported(path)
    before = store.row(0)
    for part in store.folder.glob("part-*.parquet"):
        part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(UserError, match=r"cannot be read: .*part-0000000000\.parquet"):
        store.row(0)
    assert imported(path)[0].row(0) == before


def test_a_search_ignores_case_and_finds_all_words_of_a_row(tmp_path: Path) -> None:
    store, _ = imported(write(tmp_path / "rows.jsonl", ROWS))
    assert store.search("STRASSE").tolist() == [2]
    assert store.search("on its way").tolist() == [0, 3]
    assert store.search("nothing of this").tolist() == []
    assert store.search("it's 100%_").tolist() == []


def test_sorting_and_filtering_give_the_rows_asked_for(tmp_path: Path) -> None:
    store, _ = imported(write(tmp_path / "rows.jsonl", ROWS))
    rows = rows_of(store)
    assert select(store, rows, Query(filter="set_aside")).tolist() == [1, 6]
    assert select(store, rows, Query(filter="repeats")).tolist() == [3]
    assert select(store, rows, Query(filter="emails")).tolist() == [4]
    assert select(store, rows, Query(filter="echo")).tolist() == [5]
    assert select(store, rows, Query(descending=True)).tolist() == [6, 5, 4, 3, 2, 1, 0]
    assert select(store, rows, Query(search="order", sort="first", descending=True)).tolist() == [3, 0]


def test_the_order_of_first_messages_is_kept(tmp_path: Path) -> None:
    store, _ = imported(write(tmp_path / "rows.jsonl", ROWS))
    kept = store.by_first().tolist()
    (store.folder / FIRST_ORDER).unlink()
    assert kept == store.by_first().tolist() and sorted(kept) == list(range(7))


def test_findings_count_what_the_filters_show(tmp_path: Path) -> None:
    store, _ = imported(write(tmp_path / "rows.jsonl", ROWS))
    rows = rows_of(store, holdout=3.0)
    found = {one.key: one.count for one in findings(rows)}
    assert found == {key: int(select(store, rows, Query(filter=key)).size) for key in found}
    assert found["repeats"] == 1 and found["emails"] == 1 and found["echo"] == 1


def test_rows_are_held_out_as_training_does_it(tmp_path: Path) -> None:
    from studio.data.ordering import chosen

    store, _ = imported(write(tmp_path / "rows.jsonl", [turn(f"Question {at}?", f"Answer {at}.") for at in range(100)]))
    rows = rows_of(store, holdout=0.1, seed=3)
    assert np.array_equal(rows.held_out(), chosen(100, 10, 3))


def test_lengths_are_those_of_the_training_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", ROWS)
    store, reader = imported(path)
    tokenizer = ChatTokenizer.load(starter_model())
    settings = EncodingSettings("answers")
    count_lengths(store, reader, tokenizer, settings)
    lengths = read_lengths(lengths_path(store.folder, tokenizer, "answers"))
    from studio.data.encoding import encode_example

    for ordinal in (0, 2, 3, 4, 5):
        row = encode_example(reader.read(store.row(ordinal)), tokenizer, settings)
        assert tuple(lengths[ordinal])[:2] == (len(row.ids), row.num_trained)
        assert row.trained[lengths[ordinal]["first"]] and not row.trained[1 : lengths[ordinal]["first"]].any()
    assert lengths["length"][[1, 6]].tolist() == [-1, -1]
    rows = Rows(store.columns(), lengths, store.counted, Split(max_length=int(lengths["length"].max()) - 1))
    sums = figures(rows)
    assert sums.is_counted and sums.set_aside >= 2 and sums.too_long >= 1
    assert int(select(store, rows, Query(sort="tokens", descending=True))[0]) == int(lengths["length"].argmax())


def test_counting_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    store, reader = imported(write(tmp_path / "rows.jsonl", [turn(f"Q {at}", f"A {at}") for at in range(1_300)]))
    tokenizer = ChatTokenizer.load(starter_model())
    path = lengths_path(store.folder, tokenizer, "answers")
    with pytest.raises(Cancelled):
        count_lengths(store, reader, tokenizer, EncodingSettings(), is_cancelled=lambda: path.stat().st_size > 0)
    assert len(read_lengths(path)) == 512
    with path.open("ab") as file:
        file.write(b"half")
    count_lengths(store, reader, tokenizer, EncodingSettings())
    assert len(read_lengths(path)) == 1_300 and (read_lengths(path)["length"] > 0).all()


def test_a_growing_store_can_be_read_and_an_interrupted_import_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "_FIRST_PART", 1_000)
    path = write(tmp_path / "rows.jsonl", [turn(f"Q {at}", f"A {at}") for at in range(3_000)])
    reader = recognise(read_head(path).good)
    folder = store_folder(path, reader)
    seen: list[int] = []
    with pytest.raises(Cancelled):
        import_rows(
            path, reader, folder, on_progress=lambda done, _: seen.append(done), is_cancelled=lambda: seen[-1] > 2_000
        )
    store = RowStore(folder)
    assert store.num_rows == 1_000 and not store.is_complete and store.page([999])[0].first == "Q 999"
    assert store.columns().number.tolist() == list(range(1, 1_001))
    import_rows(path, reader, folder)
    store.refresh()
    assert store.columns().number.tolist() == list(range(1, 3_001))
    assert store.num_rows == 3_000 and store.is_complete and store.page([2_999])[0].first == "Q 2999"


def test_a_store_can_be_closed_while_other_threads_read_it(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", ROWS * 10)
    told: list[Exception] = []

    def read(store: RowStore) -> None:
        try:
            while True:
                store.page([0, 1, 2])
        except (UserError, duckdb.Error) as error:
            told.append(error)

    for _ in range(15):
        store, _ = imported(path)
        threads = [threading.Thread(target=read, args=(store,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.02)
        store.close()
        for thread in threads:
            thread.join()
    assert {str(error) for error in told} == {"The rows are closed."} and len(told) == 15 * 4


def test_damage_in_the_middle_leaves_the_rows_before_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([turn(f"Q {at}", f"A {at}") for at in range(40)])[:-60])
    store, _ = imported(path)
    assert store.num_rows == 39
    assert store.damage is not None and "The 39 rows before it are fine" in store.damage.message


@pytest.mark.parametrize("name", ["with space ü 🚲.jsonl", "it's; DROP TABLE rows.jsonl", "x" * 200 + ".jsonl"])
def test_any_name_of_a_file_will_do(tmp_path: Path, name: str) -> None:
    store, _ = imported(write(tmp_path / name, ROWS))
    assert store.num_rows == 7


def test_any_container_will_do(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("question,answer\nHow?,So.\nWhy?,\nWhen?,Then.\n")
    store, _ = imported(path)
    lines = store.page(range(3))
    assert [line.number for line in lines] == [2, 3, 4] and lines[1].marks & Mark.SET_ASIDE
    assert store.ordinal_of(4) == 2 and store.ordinal_of(5) is None


def test_half_characters_and_odd_values_do_not_stop_an_import(tmp_path: Path) -> None:
    rows = [
        '{"messages": [{"role": "user", "content": "\\ud83d half"}, {"role": "assistant", "content": "a\\u0000b"}]}'
    ]
    store, _ = imported(write(tmp_path / "rows.jsonl", [*rows, ROWS[0]]))
    assert store.num_rows == 2 and store.row(0) == json.loads(rows[0])


def test_a_file_that_vanishes_after_the_import_can_still_be_browsed(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", ROWS)
    store, _ = imported(path)
    path.unlink()
    assert len(store.page(range(7))) == 7 and store.row(0) == ROWS[0]


def test_a_name_that_is_too_long_for_the_disk_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        imported(tmp_path / ("x" * 300 + ".jsonl"))


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no file"):
        imported(tmp_path / "none.jsonl")
