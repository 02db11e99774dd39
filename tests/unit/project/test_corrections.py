"""A correction becomes a row that reads as the conversation it was, and nobody's file is changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from studio.data.conversation import Message
from studio.data.source import first_rows, open_source
from studio.errors import UserError
from studio.formats import recognise
from studio.project.corrections import Added, Correction, add_correction, next_row, take_back
from studio.project.folder import Project
from studio.project.runs import Run
from studio.spec.places import data_path
from studio.spec.run_spec import RunSpec

SHORT = Correction((Message("user", "Q?"),), "Right.", "Wrong.")
LONG = Correction((Message("user", "Q?"), Message("assistant", "A."), Message("user", "And?")), "Right.", "Wrong.")

ROWS: dict[str, list[dict[str, Any]]] = {
    "messages": [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}],
    "sharegpt": [{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}],
    "question_answer": [{"question": "a", "answer": "b"}],
    "alpaca": [{"instruction": "a", "input": "", "output": "b"}],
    "prompt_completion": [{"prompt": "a", "completion": "b"}],
    "preference": [{"prompt": "a", "chosen": "b", "rejected": "c"}],
}


def _project(tmp_path: Path, rows: list[dict[str, Any]], name: str = "rows.jsonl") -> tuple[Project, RunSpec]:
    data = tmp_path / "elsewhere" / name
    data.parent.mkdir(exist_ok=True)
    data.write_text("".join(json.dumps(row) + "\n" for row in rows * 3))
    spec = RunSpec.model_validate({"model": {"source": "starter"}, "data": {"path": str(data)}})
    return Project.create(tmp_path / "project", spec), spec


def _last(project: Project, added: Added) -> Any:
    data = added.spec.data
    source = open_source(data_path(data.path, project.folder))
    found = recognise(first_rows(source), data.columns, data.format)
    rows = [row.value for row in source.rows()]
    assert all(row is not None and found.read(row) for row in rows), "earlier rows still read"
    assert rows[-1] is not None
    return found.read(rows[-1])


@pytest.mark.parametrize("key", ROWS)
@pytest.mark.parametrize("correction", [SHORT, LONG], ids=["one exchange", "a conversation"])
def test_it_reads_as_what_was_said(tmp_path: Path, key: str, correction: Correction) -> None:
    project, spec = _project(tmp_path, ROWS[key])
    before = Path(spec.data.path).read_bytes()
    added = add_correction(project, spec, correction)
    example = _last(project, added)
    assert [message.content for message in example.messages] == [m.content for m in correction.messages] + ["Right."]
    assert added.row == 4 == next_row(project, spec)
    assert Path(spec.data.path).read_bytes() == before, "the person's own file is never changed"
    assert not Path(added.spec.data.path).is_absolute()
    if key == "preference":
        assert example.rejected is not None and example.rejected.content == "Wrong." and added.pairs is None
    else:
        assert added.pairs is not None
        pair = json.loads(added.pairs.read_text())
        assert "Wrong." in json.dumps(pair["rejected"]) and "Right." in json.dumps(pair["chosen"])


def test_the_next_one_grows_the_copy_and_can_be_taken_back(tmp_path: Path) -> None:
    project, spec = _project(tmp_path, ROWS["messages"])
    first = add_correction(project, spec, SHORT)
    copy = data_path(first.spec.data.path, project.folder)
    content, pairs = copy.read_bytes(), first.pairs.read_bytes() if first.pairs else b""
    second = add_correction(project, first.spec, LONG)
    assert second.spec == first.spec and second.row == 5
    assert len(_last(project, second).messages) == 4
    take_back(second)
    assert copy.read_bytes() == content and first.pairs is not None and first.pairs.read_bytes() == pairs


def test_a_copy_that_a_run_was_made_from_stays_as_it_is(tmp_path: Path) -> None:
    project, spec = _project(tmp_path, ROWS["messages"])
    first = add_correction(project, spec, SHORT)
    Run.create(project.folder, first.spec, "r1")
    copy = data_path(first.spec.data.path, project.folder)
    content = copy.read_bytes()
    second = add_correction(project, first.spec, SHORT)
    assert second.spec.data.path != first.spec.data.path and copy.read_bytes() == content


def test_without_the_old_answer_no_pair_is_kept(tmp_path: Path) -> None:
    project, spec = _project(tmp_path, ROWS["messages"])
    added = add_correction(project, spec, Correction(SHORT.messages, "Right."))
    assert added.pairs is None and not (project.folder / "data" / "preferences.jsonl").exists()


@pytest.mark.parametrize(
    ("rows", "words"),
    [([{"text": "Once upon a time."}], "plain text"), (ROWS["preference"], "the worse answer")],
)
def test_data_that_cannot_hold_it_says_why(tmp_path: Path, rows: list[dict[str, Any]], words: str) -> None:
    project, spec = _project(tmp_path, rows)
    with pytest.raises(UserError, match=words):
        add_correction(project, spec, Correction(SHORT.messages, "Right."))
    assert not list((project.folder / "data").glob("*")) if (project.folder / "data").exists() else True


def test_a_table_becomes_rows_that_read_the_same(tmp_path: Path) -> None:
    project, spec = _project(tmp_path, ROWS["messages"])
    table = tmp_path / "elsewhere" / "table.csv"
    table.write_text("question,answer\na,b\nc,d\n")
    spec = spec.model_copy(update={"data": spec.data.model_copy(update={"path": str(table)})})
    with_system = Correction((Message("system", "Be brief."), Message("user", "Q?")), "Right.")
    added = add_correction(project, spec, with_system)
    assert [message.role for message in _last(project, added).messages] == ["system", "user", "assistant"]


def test_an_empty_answer_is_refused(tmp_path: Path) -> None:
    project, spec = _project(tmp_path, ROWS["messages"])
    with pytest.raises(UserError, match="empty"):
        add_correction(project, spec, Correction(SHORT.messages, "  "))
