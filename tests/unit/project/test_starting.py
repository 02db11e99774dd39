"""From a draft to a frozen run: what is decided when it starts is in its record."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.errors import UserError
from studio.machine.resources import Resources
from studio.models.facts import read_facts
from studio.planner import machine
from studio.planner.forecast import forecast
from studio.project import starting
from studio.project.folder import Project
from studio.project.starting import make_run
from studio.spec.run_spec import RunSpec
from tests.helpers.small_run import write_sums
from tests.helpers.toy_models import make_toy


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A toy model that is large for what it is: 30 million numbers."""
    model = make_toy(tmp_path / "model", hidden_size=256, intermediate_size=1024, num_hidden_layers=28)
    rows = write_sums(tmp_path / "rows.jsonl")
    spec = RunSpec.model_validate({"model": {"source": str(model)}, "data": {"path": str(rows)}})
    return Project.create(tmp_path / "project", spec)


def with_ram(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """A computer with so much memory left."""
    resources = Resources((), free, free, 10**12, 10**12, "CPU", 2)
    monkeypatch.setattr(machine, "read_resources", lambda folder: resources)


def draft(project: Project, **method: object) -> RunSpec:
    return RunSpec.model_validate(
        {**project.draft().model_dump(), "method": method, "train": {"steps": 1000, "max_length": 64}}
    )


def test_where_the_base_lies_is_frozen(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with_ram(monkeypatch, 4 * 10**9)
    run, _ = make_run(project, draft(project, key="lora"), "large")
    assert run.spec().method.placement == "memory"
    facts = read_facts(Path(project.draft().model.source))
    streamed = forecast(draft(project, key="lora", placement="drive"), facts, machine.this_machine(project.folder))
    with_ram(monkeypatch, int(1.01 * streamed.peak_bytes))
    run, _ = make_run(project, draft(project, key="lora"), "small")
    assert run.spec().method.placement == "drive"


def test_emulated_arithmetic_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with_ram(monkeypatch, 4 * 10**9)
    for is_slow in (True, False):
        monkeypatch.setattr(starting, "computes_bf16_slowly", lambda is_slow=is_slow: is_slow)
        _, told = make_run(project, draft(project, key="lora"), f"slow {is_slow}")
        assert [problem.path for problem in told] == ["train.precision"] * is_slow


def test_a_run_that_wears_the_drive_asks_first(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with_ram(monkeypatch, 4 * 10**9)
    spec = draft(project, key="ssd_offload")
    careful = spec.model_copy(update={"train": spec.train.model_copy(update={"drive_wear": 1e-6})})
    with pytest.raises(UserError, match=r"of the life of a drive"):
        make_run(project, careful, "careful")
    assert make_run(project, careful, "asked", may_wear=True)[0].spec().train.drive_wear == 1e-6
    assert make_run(project, spec, "usual")[0].spec().method.key == "ssd_offload"
