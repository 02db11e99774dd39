"""What can be talked to in a project: the results and checkpoints of its runs, and its GGUF files. No widgets here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio.data.conversation import Example, RowError
from studio.data.growing import num_heldout
from studio.data.ordering import chosen
from studio.data.source import first_rows, open_source
from studio.errors import UserError
from studio.export.exports import list_exports
from studio.formats import recognise
from studio.methods import METHODS
from studio.project.runs import Run
from studio.project.state import RunState
from studio.spec.run_spec import RunSpec

_MOST_PROMPTS = 4
_LONGEST_PROMPT = 160


@dataclass(frozen=True)
class Stop:
    """A moment of a run whose weights are there. `step` None is the result, at step `at`."""

    step: int | None
    at: int
    is_best: bool = False

    @property
    def title(self) -> str:
        """For people."""
        return f"Result, step {self.at:,}" if self.step is None else f"Step {self.step:,}"


@dataclass(frozen=True)
class Source:
    """A tuned model to talk to.

    Attributes:
        key: unlike every other source's of the project.
        title: for people.
        arguments: of the chat job, without the checkpoint.
        stops: its moments, earliest first; empty for a file.
    """

    key: str
    title: str
    arguments: dict[str, Any] = field(hash=False)
    stops: tuple[Stop, ...] = ()

    @property
    def is_run(self) -> bool:
        """Whether it has a base to compare with."""
        return bool(self.stops)


@dataclass(frozen=True)
class Ideas:
    """What can be asked first: held-out questions, and the system prompt that the rows are written with."""

    prompts: tuple[str, ...] = ()
    system: str = ""


def find_sources(rows: Iterable[tuple[int, Run, RunState]], exports: Path) -> list[Source]:
    """The runs with weights, newest first, then the files. Looks at folders: call it on a thread.

    Args:
        rows: number, run and state of each.
        exports: the folder of exported files.
    """
    runs = [source for number, run, state in rows if (source := _of_run(number, run, state)) is not None]
    files = [of_file(exported.path) for exported in list_exports(exports) if exported.can_chat]
    return [*runs[::-1], *files]


def of_file(path: Path) -> Source:
    """A GGUF file, wherever it lies."""
    return Source(str(path), path.name, {"source": str(path)})


def base_arguments(spec: RunSpec, source: Source | None) -> dict[str, Any]:
    """The chat job's arguments for the untuned model: the run's own base, else the draft's (paths placed)."""
    if source is not None and source.is_run:
        return {**source.arguments, "base": True}
    return {"source": spec.model.source}


def find_ideas(spec: RunSpec) -> Ideas:
    """Questions from held-out rows of the draft's data (paths placed). Reads the file: call it on a thread.

    Raises:
        UserError: the data cannot be read.
    """
    source = open_source(Path(spec.data.path))
    found = recognise(first_rows(source), spec.data.columns, spec.data.format)
    count = source.count()
    mask = chosen(count, num_heldout(spec.data.holdout, count), spec.train.seed)
    if not mask.any():
        mask[:_MOST_PROMPTS] = True
    prompts: dict[str, None] = {}
    system = ""
    for row in source.chosen(mask):
        try:
            example = found.read(row.value) if row.value is not None else Example()
        except RowError:
            continue
        system = system or _system(example)
        if question := _question(example):
            prompts[question] = None
        if len(prompts) == _MOST_PROMPTS:
            break
    return Ideas(tuple(prompts), system)


def _of_run(number: int, run: Run, state: RunState) -> Source | None:
    steps = run.checkpoints()
    stops = [Stop(step, step, step == state.best_step) for step in steps]
    if any(run.result_dir.glob("*.safetensors")):
        # The result is the best step where the run stopped for want of gain, else the last: no need to list it twice.
        at = state.best_step if state.reason == "early_stop" else state.step
        stops = [*(stop for stop in stops if stop.at != at), Stop(None, at, at == state.best_step)]
    if not stops:
        return None
    try:
        method = METHODS.get(run.frozen_spec().method.key).title
    except UserError:
        return None
    return Source(str(run.folder), f"Run {number} · {method}", {"source": str(run.folder)}, tuple(stops))


def _question(example: Example) -> str:
    """The first thing asked, where it is short enough for a button."""
    asked = next((message.content.strip() for message in example.messages if message.role == "user"), "")
    return asked if len(asked) <= _LONGEST_PROMPT else ""


def _system(example: Example) -> str:
    first = example.messages[0] if example.messages else None
    return first.content if first is not None and first.role == "system" else ""
