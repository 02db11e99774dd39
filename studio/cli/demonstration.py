"""The demo from beginning to end, told step by step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from studio.cli.exporting import follow_export
from studio.cli.journey import Clock, Examiner, Score, verdict
from studio.cli.running import run_now
from studio.cli.starting import make_run
from studio.cli.talking import Conversation
from studio.errors import Cancelled
from studio.project.demo import make_demo_project
from studio.project.folder import Project
from studio.project.runs import Run

_NUM_PROMPTS = 4


def demonstrate(folder: Path, settings: Sequence[str], console: Console) -> int:
    """Make a project on the starter, and go all the way with it.

    Returns:
        0 when everything came out as it should, else 1.
    """
    clock, examiner = Clock(console), Examiner()
    project = make_demo_project(folder, settings)
    console.print(f"Project: {project.folder}")
    with clock.step("Ask the model as it comes"):
        before = examiner.score(run=None)
        console.print(f"{len(examiner.questions)} questions it never saw: {before}")
    with clock.step("Train it"):
        run = _train(project, console)
    with clock.step("Ask the tuned model the same"):
        after = examiner.score(run=run)
        console.print(str(after))
    with clock.step("Export it as GGUF and check the file against the tuned model"):
        file = _export(run)
    with clock.step("Talk to the GGUF file in llama.cpp"):
        _talk(Path(file["path"]), examiner.prompts(_NUM_PROMPTS), console)
    return _conclude(before, after, file, run, clock, console)


def _train(project: Project, console: Console) -> Run:
    run = make_run(project, project.draft(), "", console)
    if run_now(run, console, resume=False, detach=False) == 130:
        raise Cancelled
    return run


def _export(run: Run) -> dict[str, Any]:
    arguments = {"source": str(run.folder), "to": "gguf", "quant": "Q8_0", "out": None, "checkpoint": None}
    return follow_export({**arguments, "is_checked": True}, is_quiet=False)[0]


def _talk(file: Path, prompts: Sequence[str], console: Console) -> None:
    sampling = {"temperature": 0.0, "max_tokens": 96}
    with Conversation({"source": str(file)}, system=None, sampling=sampling) as conversation:
        for prompt in prompts:
            console.print(f"> {prompt}")
            conversation.ask(prompt)
            conversation.reset()


def _conclude(before: Score, after: Score, file: dict[str, Any], run: Run, clock: Clock, console: Console) -> int:
    is_shown, sentence = verdict(before, after)
    is_sound = bool((file["report"] or {}).get("passed"))
    console.print("\nWhat it came to", style="bold")
    console.print(f"  before: {before}\n  after:  {after}\n  {sentence}")
    console.print(f"  {'The file answers like the tuned model.' if is_sound else 'The file failed its check.'}")
    console.print("\n".join(clock.lines()))
    console.print(
        f'\nTalk to it yourself: tunesmith chat "{file["path"]}"\nCompare with: tunesmith chat "{run.folder}" --base'
    )
    return 0 if is_shown and is_sound else 1
