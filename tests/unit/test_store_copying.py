"""A project's own copy of its rows: what changes, what stays byte for byte, and what training then reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.data.source import open_source
from studio.data.store.copying import Changes, are_versions, next_copy, write_copy
from studio.data.store.digest import replace_emails
from studio.data.store.head import read_head
from studio.data.training_data import DataRequest, open_training_data
from studio.errors import Cancelled, UserError
from studio.formats import recognise
from studio.models.source import starter_model
from studio.models.tokenizer import ChatTokenizer


def rows_of(path: Path) -> dict[int, object]:
    return {row.number: row.value if row.value is not None else row.problem for row in open_source(path).rows()}


def test_lines_not_touched_stay_byte_for_byte_and_keep_their_number(tmp_path: Path) -> None:
    original = tmp_path / "rows.jsonl"
    lines = [b'{"a":  1}', b'{"a": broken', b'{"a": "\xc3\xbc"}', b'{"a": 4}']
    original.write_bytes(b"\r\n".join(lines))
    count = write_copy(original, tmp_path / "copy.jsonl", Changes(frozenset({1}), {4: {"a": "vier ü"}}))
    copied = (tmp_path / "copy.jsonl").read_bytes().split(b"\n")
    assert count == 2 and copied == [b"", lines[1], lines[2], '{"a": "vier ü"}'.encode(), b""]
    assert list(rows_of(tmp_path / "copy.jsonl")) == [2, 3, 4]
    assert original.read_bytes() == b"\r\n".join(lines)


def test_a_table_becomes_lines_with_the_same_numbers(tmp_path: Path) -> None:
    original = tmp_path / "rows.csv"
    original.write_text('q,a\n"two\nlines",x\nthree,too,many\nfour,y\n')
    write_copy(original, tmp_path / "copy.jsonl", Changes(frozenset({5})))
    assert rows_of(tmp_path / "copy.jsonl") == {2: {"q": "two\nlines", "a": "x"}}


def test_a_change_of_all_rows_counts_those_it_changed(tmp_path: Path) -> None:
    original = tmp_path / "rows.jsonl"
    rows = [{"t": "to me@example.org now", "n": [{"x": "a.b+c@d.example.com"}]}, {"t": "nobody@home"}]
    original.write_text("".join(json.dumps(row) + "\n" for row in rows))
    count = write_copy(original, tmp_path / "copy.jsonl", Changes(change=replace_emails))
    assert count == 1
    assert rows_of(tmp_path / "copy.jsonl") == {1: {"t": "to [e-mail] now", "n": [{"x": "[e-mail]"}]}, 2: rows[1]}


def test_the_rows_before_damage_can_be_kept(tmp_path: Path) -> None:
    original = tmp_path / "rows.json"
    original.write_text('[{"a": 1}, {"a": 2}, {"a":')
    with pytest.raises(UserError):
        write_copy(original, tmp_path / "copy.jsonl", Changes())
    assert not (tmp_path / "copy.jsonl").exists()
    write_copy(original, tmp_path / "copy.jsonl", Changes(only_before_damage=True))
    assert rows_of(tmp_path / "copy.jsonl") == {1: {"a": 1}, 2: {"a": 2}}


def test_a_cancelled_copy_leaves_nothing(tmp_path: Path) -> None:
    original = tmp_path / "rows.jsonl"
    original.write_text('{"a": 1}\n' * 3_000)
    with pytest.raises(Cancelled):
        write_copy(original, tmp_path / "data" / "copy.jsonl", Changes(), is_cancelled=lambda: True)
    assert list((tmp_path / "data").iterdir()) == []


def test_copies_are_numbered(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert next_copy(folder, Path("a/rows.v2.csv.gz")).name == "rows.v2-edited-1.jsonl"
    folder.mkdir()
    (folder / "rows-edited-1.jsonl").touch()
    assert next_copy(folder, folder / "rows-edited-1.jsonl").name == "rows-edited-2.jsonl"


def test_versions_of_the_same_rows_are_known_by_name() -> None:
    assert are_versions(Path("a/rows.csv.gz"), Path("b/data/rows-edited-3.jsonl"))
    assert not are_versions(Path("a/rows.csv"), Path("a/other.csv"))


def test_a_folder_without_permission_is_said(tmp_path: Path) -> None:
    original = tmp_path / "rows.jsonl"
    original.write_text('{"a": 1}\n')
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        write_copy(original, tmp_path / "file" / "copy.jsonl", Changes())


def test_what_is_left_out_is_not_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_HOME", str(tmp_path / "home"))
    original = tmp_path / "rows.jsonl"
    original.write_text("".join(json.dumps({"prompt": f"Q {at}?", "completion": f"A {at}."}) + "\n" for at in range(9)))
    write_copy(
        original, tmp_path / "copy.jsonl", Changes(frozenset({2, 5}), {3: {"prompt": "Q?", "completion": "New."}})
    )
    reader = recognise(read_head(tmp_path / "copy.jsonl").good)
    tokenizer = ChatTokenizer.load(starter_model())
    with open_training_data(DataRequest(tmp_path / "copy.jsonl", holdout=0), reader, tokenizer) as data:
        rows = [data.train.row(at) for at in range(len(data.train))]
    assert [row.row_number for row in rows] == [1, 3, 4, 6, 7, 8, 9]
    assert "New." in tokenizer.decode(rows[1].ids.tolist())
