"""Real projects and runs for tests and pictures: the bundled model, the bundled rows, a few true steps."""

from __future__ import annotations

from pathlib import Path

from studio.paths import resources_dir
from studio.project.folder import Project
from studio.project.launch import start_run
from studio.project.runs import Run
from studio.project.starting import make_run
from studio.spec.fresh import fresh_spec
from studio.spec.values import set_values

STARTER_ROWS = resources_dir() / "starter" / "data" / "voice.jsonl"
FEW_STEPS = (
    "train.steps=12",
    "train.batch_size=2",
    "train.max_length=96",
    "train.eval_every=4",
    "train.checkpoint_every=6",
    "train.precision=fp32",
    "data.holdout=8",
    "method.rank=4",
)


def make_starter_project(folder: Path, *settings: str) -> Project:
    """A project on the starter."""
    spec = fresh_spec(model="starter", data=str(STARTER_ROWS), project=folder)
    return Project.create(folder, set_values(spec, settings) if settings else spec)


def train_some_steps(project: Project, *settings: str) -> Run:
    """A real run, to its end."""
    run, _ = make_run(project, set_values(project.draft(), [*FEW_STEPS, *settings]))
    process = start_run(run)
    assert process.wait(300) == 0, run.log_path.read_text(encoding="utf-8")[-3000:]
    return run
