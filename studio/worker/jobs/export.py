"""Exports a run, an adapter or a model; checks GGUF files against the tuned model; brings back paths and reports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from studio.errors import UserError, nearest
from studio.export import verify
from studio.export.exporting import make_output, plan_outputs
from studio.export.modelfile import write_modelfile
from studio.export.quant_types import parse_types
from studio.export.target import TARGETS, Output, Target, Watch
from studio.project.tuned import Tuned, find_tuned
from studio.protocol.events import Notice, Phase, Result
from studio.worker.job import Context, Job


def run(context: Context, arguments: dict[str, Any]) -> None:
    """Arguments: `source`, `to`, and optionally `quant`, `out`, `checkpoint`, `is_checked`.

    Events: `phase` per output and check; one `result` with `forecast` first, one with `files` last.
    """
    target = _target(str(arguments["to"]))
    tuned = find_tuned(str(arguments["source"]), checkpoint=arguments.get("checkpoint"))
    quants = parse_types(str(arguments.get("quant") or "Q4_K_M")) if target.is_verified else []
    out = Path(arguments["out"]).expanduser().resolve() if arguments.get("out") else None
    outputs = plan_outputs(tuned, target, quants, out)
    forecast = [{"path": str(output.path), "bytes": output.forecast_bytes} for output in outputs]
    context.emit(Result(value={"forecast": forecast}))
    for output in outputs:
        make_output(tuned, target, output, _watch(context, f"Writing {output.path.name}"))
    is_checked = target.is_verified and arguments.get("is_checked", True)
    reports = _check(tuned, outputs, context) if is_checked else {}
    files = [_finish(tuned, target, output, reports.get(output.path)) for output in outputs]
    context.emit(Result(value={"files": files}))


def _target(name: str) -> Target:
    key = name.replace("-", "_")
    if key not in TARGETS.all():
        names = [known.replace("_", "-") for known in TARGETS.all()]
        raise UserError(f'There is no export target "{name}".', nearest(name, names))
    return TARGETS.get(key)


def _watch(context: Context, name: str) -> Watch:
    def tell(done: int, total: int, text: str) -> None:
        context.emit(Phase(name=name, done=done, total=total, unit="bytes", detail=text))

    return Watch(tell, context.cancelled.is_set)


def _check(tuned: Tuned, outputs: list[Output], context: Context) -> dict[Path, verify.Report]:
    """Compare every file with the tuned model, which is loaded once."""
    from studio.worker.export_check import check_rows, tuned_logits  # heavy

    context.emit(Phase(name="Loading the tuned model for the check"))
    rows, logits = check_rows(tuned, context), tuned_logits(tuned)
    if logits is None:
        context.emit(
            Notice(
                severity="warning",
                text="The files are not checked: the tuned model does not fit into this computer's memory.",
                hint="They are complete; try them in the chat.",
            )
        )
        return {}
    reports = {}
    for output in outputs:
        assert output.quant is not None
        tell = _row_teller(context, f"Checking {output.path.name}")
        reports[output.path] = verify.verify(output.path, output.quant, rows, logits, on_progress=tell)
    return reports


def _row_teller(context: Context, name: str) -> Callable[[int, int], None]:
    return lambda done, total: context.emit(Phase(name=name, done=done, total=total, unit="rows"))


def _finish(tuned: Tuned, target: Target, output: Output, report: verify.Report | None) -> dict[str, Any]:
    """Store the report and the Modelfile; put a file that failed aside."""
    path = output.path
    if report is not None and not report.passed:
        path = verify.set_aside(path)
    value: dict[str, Any] = {"path": str(path), "bytes": _size(path), "report": None}
    if report is not None:
        value["report"] = {
            "passed": report.passed,
            "sentence": report.sentence(),
            "path": str(verify.save(report, path)),
            "agreement": report.agreement,
            "mean_kl": report.mean_kl,
        }
    if target.is_verified and (report is None or report.passed):
        value["modelfile"] = str(write_modelfile(path, tuned.base))
    return value


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [found for found in path.rglob("*") if found.is_file()]
    return sum(found.stat().st_size for found in files)


JOB = Job("export", run)
