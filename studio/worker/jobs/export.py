"""Exports a run, an adapter or a model; checks GGUF files against the tuned model; brings back paths and reports."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from studio.errors import Cancelled, UserError, nearest
from studio.export import verify
from studio.export.exporting import make_output, plan_outputs
from studio.export.modelfile import write_modelfile
from studio.export.quant_types import USUAL, parse_types
from studio.export.target import TARGETS, Output, Target, Watch
from studio.project.tuned import Tuned, find_tuned
from studio.protocol.events import Notice, Phase, Result
from studio.worker.job import Context, Job


def run(context: Context, arguments: dict[str, Any]) -> None:
    """Arguments: `source`, `to`, and optionally `quant`, `out`, `checkpoint`, `is_checked`.

    Events: one `result` with `forecast` first; of each output one with `tensors` (name and bytes of each, in the order
    of the file), then `phase` by tensor; `phase` of each check; one `result` with `files` last.
    """
    target = _target(str(arguments["to"]))
    tuned = find_tuned(str(arguments["source"]), checkpoint=arguments.get("checkpoint"))
    quants = parse_types(str(arguments.get("quant") or USUAL)) if target.is_verified else []
    out = Path(arguments["out"]).expanduser().resolve() if arguments.get("out") else None
    outputs = plan_outputs(tuned, target, quants, out)
    forecast = [{"path": str(output.path), "bytes": output.forecast_bytes} for output in outputs]
    context.emit(Result(value={"forecast": forecast}))
    for output in outputs:
        make_output(tuned, target, output, _watch(context, output.path))
    is_checked = (target.is_verified or target.needs_base) and arguments.get("is_checked", True)
    reports = _check(tuned, target, outputs, context) if is_checked else {}
    files = [_finish(tuned, target, output, reports.get(output.path)) for output in outputs]
    context.emit(Result(value={"files": files}))


def _target(name: str) -> Target:
    key = name.replace("-", "_")
    if key not in TARGETS.all():
        names = [known.replace("_", "-") for known in TARGETS.all()]
        raise UserError(f'There is no export target "{name}".', nearest(name, names))
    return TARGETS.get(key)


def _watch(context: Context, path: Path) -> Watch:
    def tell(done: int, total: int, text: str) -> None:
        context.emit(Phase(name=f"Writing {path.name}", done=done, total=total, unit="bytes", detail=text))

    def tell_tensors(tensors: Mapping[str, int]) -> None:
        context.emit(Result(value={"path": str(path), "tensors": list(tensors.items())}))

    return Watch(tell, context.cancelled.is_set, tell_tensors)


def _check(tuned: Tuned, target: Target, outputs: list[Output], context: Context) -> dict[Path, verify.Report]:
    """Compare every file with the tuned model, which is loaded once."""
    from studio.worker.export_check import Reference, answer_of_file, open_trial  # heavy

    context.emit(Phase(name="Loading the tuned model for the check"))
    trial, reference = open_trial(tuned, context), Reference.open(tuned)
    if reference is None:
        context.emit(
            Notice(
                severity="warning",
                text="The files are not checked: the tuned model does not fit into this computer's memory.",
                hint="They are complete; try them in the chat.",
            )
        )
        return {}
    if target.needs_base:
        return _check_on_base(tuned, outputs, trial.rows, reference.logits, context)
    reports, tuned_answer = {}, reference.answer(trial.messages) if trial.messages else ""
    for output in outputs:
        assert output.quant is not None
        _stop_if_cancelled(context)
        tell = _row_teller(context, f"Checking {output.path.name}")
        report = verify.verify(output.path, output.quant, trial.rows, reference.logits, on_progress=tell)
        if trial.messages and report.positions:
            said = answer_of_file(output.path, trial.messages)
            question = str(trial.messages[-1]["content"])
            report = dataclasses.replace(report, question=question, answer=said, tuned_answer=tuned_answer)
        reports[output.path] = report
    return reports


def _check_on_base(
    tuned: Tuned,
    outputs: list[Output],
    rows: list[verify.Row],
    reference: Callable[[list[int]], verify.Floats],
    context: Context,
) -> dict[Path, verify.Report]:
    """Each file beside a GGUF of the base, which is made for that and goes again; not where the disk has no room."""
    base, (quant,) = dataclasses.replace(tuned, weights=None), parse_types("F16")
    parent = outputs[0].path.parent
    with tempfile.TemporaryDirectory(prefix=".check.", suffix=".part", dir=parent) as folder:
        try:
            (beside,) = plan_outputs(base, TARGETS.get("gguf"), [quant], Path(folder) / "base.gguf")
            make_output(base, TARGETS.get("gguf"), beside, _quiet_watch(context))
        except UserError as error:
            text = f"{outputs[0].path.name} is not checked: {error.message}"
            context.emit(Notice(severity="warning", text=text, hint="It is complete; try it beside your base's GGUF."))
            return {}
        return {
            output.path: verify.verify(
                output.path,
                quant,
                rows,
                reference,
                base=beside.path,
                on_progress=_row_teller(context, f"Checking {output.path.name}"),
            )
            for output in outputs
        }


def _quiet_watch(context: Context) -> Watch:
    def tell(done: int, total: int, text: str) -> None:
        context.emit(Phase(name="Writing the base for the check", done=done, total=total, unit="bytes"))

    return Watch(tell, context.cancelled.is_set)


def _stop_if_cancelled(context: Context) -> None:
    if context.cancelled.is_set():
        raise Cancelled


def _row_teller(context: Context, name: str) -> Callable[[int, int], None]:
    return lambda done, total: context.emit(Phase(name=name, done=done, total=total, unit="rows"))


def _finish(tuned: Tuned, target: Target, output: Output, report: verify.Report | None) -> dict[str, Any]:
    """Store the report and the Modelfile; put a file that failed aside."""
    path = output.path
    if report is not None and not report.passed:
        path = verify.set_aside(path)
    value: dict[str, Any] = {"path": str(path), "bytes": _size(path), "report": None}
    if report is not None:
        kept = verify.save(report, path)
        value["report"] = {**dataclasses.asdict(report), "sentence": report.sentence(), "path": str(kept)}
    if target.is_verified and (report is None or report.passed):
        value["modelfile"] = str(write_modelfile(path, tuned.base))
    return value


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [found for found in path.rglob("*") if found.is_file()]
    return sum(found.stat().st_size for found in files)


JOB = Job("export", run, gives_way=True)
