"""Any file is read as what it is, or refused in a sentence; one broken row leaves the others usable."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from studio.data.rows import SourceRow
from studio.data.source import first_rows, open_source
from studio.errors import UserError

ROWS = [{"question": f"Größe {at}?", "answer": f"“{at}” – it's ok"} for at in range(5)]
JSONL = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
CSV = "question,answer\r\n" + "".join(f'{row["question"]},"{row["answer"]}"\r\n' for row in ROWS)


def write(folder: Path, name: str, data: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def values(path: Path) -> list[object]:
    return [row.value for row in open_source(path).rows()]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize(("name", "text"), [("a.jsonl", JSONL), ("a.csv", CSV), ("a.data", JSONL), ("b.data", CSV)])
@pytest.mark.parametrize("is_packed", [False, True])
def test_reads_rows_in_any_encoding(tmp_path: Path, encoding: str, name: str, text: str, is_packed: bool) -> None:
    data = text.encode(encoding)
    path = write(tmp_path, name + (".gz" if is_packed else ""), gzip.compress(data) if is_packed else data)
    assert values(path) == ROWS
    assert open_source(path).count() == len(ROWS)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("array.json", json.dumps(ROWS)),
        ("pretty.json", json.dumps(ROWS, indent=2)),
        ("held.json", json.dumps({"version": 1, "meta": {"a": [1]}, "data": ROWS}, indent=2)),
        ("held_in_a_line.json", json.dumps({"data": ROWS})),
        ("one_after_another.json", "\n".join(json.dumps(row, indent=2) for row in ROWS)),
        ("lines.json", JSONL),
        ("lines.txt", JSONL),
        ("array.jsonl", json.dumps(ROWS, indent=1)),
        ("semicolons.csv", CSV.replace(",", ";")),
        ("tabs.tsv", CSV.replace(",", "\t")),
        ("bars.csv", CSV.replace(",", "|")),
        ("crlf.jsonl", JSONL.replace("\n", "\r\n")),
        ("gaps.jsonl", JSONL.replace("\n", "\n\n\n")),
        ("windows_gaps.jsonl", JSONL.replace("\n", "\r\n\r\n")),
    ],
)
def test_reads_what_people_write(tmp_path: Path, name: str, text: str) -> None:
    path = write(tmp_path, name, text)
    assert values(path) == ROWS
    assert open_source(path).count() == len(ROWS)


def test_one_conversation_in_a_json_file_is_one_row(tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}
    assert values(write(tmp_path, "a.json", json.dumps(row))) == [row]
    assert values(write(tmp_path, "b.jsonl", json.dumps(row))) == [row]


def test_reads_columnar_files(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.feather
    import pyarrow.parquet

    table = pyarrow.Table.from_pylist([{**row, "turns": [{"role": "user", "content": None}]} for row in ROWS])
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    pyarrow.feather.write_feather(table, tmp_path / "a.feather")
    with pyarrow.ipc.new_stream(tmp_path / "a.arrow", table.schema) as stream:
        stream.write_table(table)
    for name in ("a.parquet", "a.feather", "a.arrow"):
        assert values(tmp_path / name) == table.to_pylist()
        assert open_source(tmp_path / name).count() == len(ROWS)


def test_plain_text_by_paragraph_or_by_line(tmp_path: Path) -> None:
    paragraphs = write(tmp_path, "a.txt", "One, two.\nThree.\n\n\nFour, five.\n")
    lines = write(tmp_path, "b.txt", "One, two.\nThree, four.\nFive.\n")
    assert list(open_source(paragraphs).rows()) == [
        SourceRow(1, {"text": "One, two.\nThree."}),
        SourceRow(5, {"text": "Four, five."}),
    ]
    assert [row.value for row in open_source(lines).rows()] == [
        {"text": "One, two."},
        {"text": "Three, four."},
        {"text": "Five."},
    ]
    assert "paragraph" in open_source(paragraphs).facts.notes[0]


def test_one_broken_line_leaves_the_others_usable(tmp_path: Path) -> None:
    lines = JSONL.splitlines()
    broken = [lines[0], lines[1][:-4], "[1]", "nonsense", '{"a": "\x00"}', '{"a": 1}' + "x", lines[2]]
    data = "\n".join(broken).encode() + b'\n{"a": "\xff\xfe"}\n' + b'{"a": ' + b"[" * 100_000 + b"\n"
    rows = list(open_source(write(tmp_path, "a.jsonl", data)).rows())
    assert [(row.number, row.problem[:22]) for row in rows if row.problem] == [
        (2, "ends in the middle: th"),
        (3, "is a list, not an obje"),
        (4, "is not JSON: Expecting"),
        (5, "is not JSON: Invalid c"),
        (6, "is not JSON: Extra dat"),
        (8, "is not valid UTF-8 at "),
        (9, "is nested too deeply"),
    ]
    assert [row.number for row in rows if not row.problem] == [1, 7]


def test_broken_csv_rows(tmp_path: Path) -> None:
    text = 'q,a\n1,2\n1,2,3\n"x"y,2\n"two\nlines",5\n"never closed,6\n7,8\n'
    rows = list(open_source(write(tmp_path, "a.csv", text)).rows())
    assert [row.value for row in rows if row.value] == [{"q": "1", "a": "2"}, {"q": "two\nlines", "a": "5"}]
    assert [(row.number, row.problem) for row in rows if row.problem] == [
        (3, "has 3 cells, the header has 2"),
        (4, "has text behind a closing quote; quotes inside a cell are written twice"),
        (7, "opens a quote that is never closed"),
    ]


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.json", json.dumps(ROWS)[:-30], r"ends in the middle of row 5\. The 4 rows before it are fine"),
        ("a.json", '[{"a": 1}, {"a": nonsense}]', r"is damaged in row 2 .* The 1 rows? before it (is|are) fine"),
        ("a.json", '[{"a": 1}] and more', r"is damaged in row 2"),
        ("a.jsonl", b"", "is empty"),
        ("a.jsonl", b"\n \n", "nothing but empty lines"),
        ("a.csv", b"\0" * 5000, "NUL bytes"),
        ("a.jsonl", bytes(range(256)) * 50, "binary|not a text file"),
        ("a.parquet", b"PAR1" + b"x" * 100, "cut off or damaged"),
        ("a.arrow", b"ARROW1\0\0" + b"x" * 100, "cut off or damaged"),
        ("a.arrow", b"\xff\xff\xff\xff\x10\0\0\0", "cut off or damaged"),
        ("a.csv", b"a,a\n1,2\n", 'two columns named "a"'),
        ("a.xlsx", b"PK\x03\x04....", "Excel"),
        ("a.pdf", b"%PDF-1.7", "PDF"),
        ("a.jsonl.gz", gzip.compress(JSONL.encode() * 100)[:-20], "gzip data ends early"),
    ],
)
def test_whole_file_problems_are_said(tmp_path: Path, name: str, data: bytes | str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        source = open_source(write(tmp_path, name, data))
        list(source.rows())


@pytest.mark.parametrize(("name", "text"), [("a.json", "[]"), ("a.csv", "question,answer\n")])
def test_no_rows_are_said(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(UserError, match=f"{name} holds no rows"):
        first_rows(open_source(write(tmp_path, name, text)))


def test_missing_files_and_folders(tmp_path: Path) -> None:
    write(tmp_path, "rows.jsonl", JSONL)
    with pytest.raises(UserError, match=r'Did you mean "rows\.jsonl"'):
        open_source(tmp_path / "row.jsonl")
    with pytest.raises(UserError, match=r"is a folder.* rows\.jsonl"):
        open_source(tmp_path)


def test_a_cut_parquet_file_is_refused(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS * 100), tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    with pytest.raises(UserError, match="cut off or damaged"):
        list(open_source(write(tmp_path, "b.parquet", whole[: len(whole) // 2])).rows())


def test_nothing_readable_is_said_with_the_first_reason(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"line 1 is not JSON"):
        first_rows(open_source(write(tmp_path, "a.jsonl", "hello\nworld\n")))


_NAMES = st.sampled_from(["a.jsonl", "a.json", "a.csv", "a.tsv", "a.txt", "a.parquet", "a.arrow", "a", "a.jsonl.gz"])
_STARTS = st.sampled_from(
    [
        b"",
        b"PAR1",
        b"ARROW1\0\0",
        b"\xff\xff\xff\xff",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"[{",
        b'{"a":',
        b"a,b\n",
        b"\x1f\x8b",
    ]
)


@given(name=_NAMES, start=_STARTS, rest=st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(name="a.csv", start=b"", rest=b'"\r"')
@example(name="a.json", start=b"", rest=b"{}")
def test_any_bytes_are_rows_or_a_sentence(tmp_path: Path, name: str, start: bytes, rest: bytes) -> None:
    try:
        source = open_source(write(tmp_path, name, start + rest))
        rows = list(source.rows())
        assert source.count() >= len(rows)
        assert all((row.value is None) == bool(row.problem) for row in rows)
    except UserError as error:
        assert str(error)
