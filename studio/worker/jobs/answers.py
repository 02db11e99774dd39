"""Answers to a file of questions, by a run's tuned model or by a plain one: what scores are made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from studio.protocol.events import Phase, Result
from studio.worker.job import Context, Job


def _run(context: Context, arguments: dict[str, Any]) -> None:
    """Answer each line's `messages` in the file `arguments["questions"]`; the result has `answers` in that order.

    `arguments["run"]` names a tuned run, or else `arguments["model"]` a model; `arguments["max_tokens"]` cuts answers.
    """
    from studio.engine.answers import answer_batch  # heavy
    from studio.engine.load import load_tuned  # heavy
    from studio.models.source import resolve_model
    from studio.models.tokenizer import ChatTokenizer
    from studio.project.runs import Run

    context.emit(Phase(name="Loading the model"))
    run = Run.open(Path(arguments["run"])) if arguments.get("run") else None
    base = resolve_model(run.spec().model.source if run else str(arguments["model"]))
    tokenizer = ChatTokenizer.load(base)
    model = load_tuned(base, run.weights() if run else None, dtype="float32")
    lines = Path(arguments["questions"]).read_text(encoding="utf-8").splitlines()
    prompts = [tokenizer.encode_prompt(json.loads(line)["messages"]) for line in lines if line.strip()]
    answers = answer_batch(
        model,
        tokenizer,
        prompts,
        max_tokens=int(arguments.get("max_tokens", 128)),
        on_progress=lambda done, total: context.emit(Phase(name="Answering", done=done, total=total, unit="questions")),
    )
    context.emit(Result(value={"answers": answers}))


JOB = Job(key="answers", run=_run)
