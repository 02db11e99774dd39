"""What is done with runs that were made: notes, sizes, deleting, making another like it, figures for a spreadsheet."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from studio.errors import UserError
from studio.project import run_keeping
from studio.project.curves import RunCurves
from studio.project.curves_csv import HEADER, write_csv
from studio.project.folder import Project
from studio.project.run_digest import digest
from studio.project.runs import Run
from studio.protocol import events
from studio.spec.run_spec import RunSpec
from tests.helpers.stories import a_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    rows = tmp_path / "project" / "data" / "rows.jsonl"
    spec = RunSpec.model_validate({"model": {"source": "starter"}, "data": {"path": str(rows)}})
    project = Project.create(tmp_path / "project", spec)
    return Run.create(project.folder, spec, "first")


def write(run: Run, *batch: events.Event) -> None:
    run.events_path.write_text("".join(f"{events.encode(event)}\n" for event in batch), encoding="utf-8")


def test_notes_live_in_the_runs_folder(run: Run) -> None:
    assert run_keeping.read_notes(run) == ""
    run_keeping.write_notes(run, "Rank 16 — ging besser. 🎺\nSecond line.")
    assert run_keeping.read_notes(Run.open(run.folder)) == "Rank 16 — ging besser. 🎺\nSecond line."


def test_notes_of_a_run_that_was_deleted_do_not_bring_its_folder_back(run: Run) -> None:
    run_keeping.delete_run(run)
    with pytest.raises(UserError, match="cannot be kept"):
        run_keeping.write_notes(run, "too late")
    assert not run.folder.exists()


def test_deleting_is_refused_while_it_trains_and_where_there_is_no_run(run: Run, tmp_path: Path) -> None:
    with run.lock(), pytest.raises(UserError, match="is training"):
        run_keeping.delete_run(run)
    (tmp_path / "photos").mkdir()
    with pytest.raises(UserError, match="is no run"):
        run_keeping.delete_run(Run(tmp_path / "photos"))
    assert (tmp_path / "photos").is_dir() and run.spec_path.is_file()


def test_checkpoints_are_only_freed_where_the_result_stays(run: Run) -> None:
    (run.checkpoints_dir / "00000005").mkdir(parents=True)
    (run.checkpoints_dir / "00000005" / "manifest.json").write_bytes(b"x" * 1000)
    assert run_keeping.measure(run).checkpoints == 1000 and run_keeping.measure(run).num_checkpoints == 1
    with pytest.raises(UserError, match="all it has"):
        run_keeping.delete_checkpoints(run)
    run.result_dir.mkdir()
    (run.result_dir / "adapter_model.safetensors").write_bytes(b"x")
    run_keeping.delete_checkpoints(run)
    run_keeping.delete_checkpoints(run)  # again is no error
    assert run_keeping.measure(run).checkpoints == 0 and run_keeping.measure(run).result == 1


def test_reproducing_keeps_paths_inside_the_project_relative(run: Run) -> None:
    spec = run_keeping.reproduction(run, Project.open(run.project_folder))
    assert spec.data.path == "data/rows.jsonl" and spec.train == run.frozen_spec().train


def test_a_digest_says_what_a_run_reached(run: Run) -> None:
    write(run, *a_run(64, evals=8))
    found = digest(run)
    assert len(found.held_out.loss) == 9 and found.before == pytest.approx(2.5) and found.best and found.best[0] == 64
    assert found.active_seconds == pytest.approx(64.9, abs=0.1) and found.peak_bytes > 5e9
    assert found.samples[0] == (
        "Do you price-match?",
        "As an AI language model, I cannot.",
        "Yes, we do. Send me the link (64).",
    )


@pytest.mark.parametrize("content", [b"", b"\x00\xff garbage\n\n{}\n[1]\n", b'{"type": "step"}\n' * 50])
def test_a_damaged_journal_gives_what_can_be_read(run: Run, content: bytes) -> None:
    run.events_path.write_bytes(content)
    found = digest(run)
    assert len(found.held_out.loss) == 0 and found.best is None and found.peak_bytes == 0


def test_curves_open_in_a_spreadsheet(tmp_path: Path) -> None:
    curves = RunCurves()
    curves.take(a_run(20, evals=4))
    write_csv(curves, tmp_path / "curves.csv")
    with (tmp_path / "curves.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == HEADER and len(rows) == 21
    assert rows[0]["step"] == "0" and float(rows[0]["held_out_loss"]) == 2.5 and rows[0]["loss"] == ""
    assert float(rows[20]["loss"]) == curves.steps["loss"][-1] and rows[20]["held_out_loss"]
