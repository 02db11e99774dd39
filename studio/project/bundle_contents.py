"""What of a project travels, cleaned of everything that is this computer's: paths, names, process ids, errors' text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from studio.errors import UserError
from studio.models.fingerprint import fingerprint, fingerprint_file
from studio.models.source import STARTER
from studio.project.bundle_rules import Origin
from studio.project.folder import Project
from studio.project.journal import history
from studio.project.runs import Run
from studio.protocol import events
from studio.spec.file import dump
from studio.spec.places import data_path, model_path
from studio.spec.run_spec import RunSpec

_RESULT_FILES = (
    "adapter_config.json", "*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json",
    "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja",
    "LICENSE", "NOTICE",
)  # fmt: skip


def portable_spec(spec: RunSpec, project: Path) -> RunSpec:
    """`spec` with its own paths replaced by places in the project where they can be put again."""
    folder = model_path(spec.model.source, project)
    source = f"./models/{folder.name}" if folder is not None else spec.model.source
    data = f"data/{data_path(spec.data.path, project).name}"
    return spec.model_copy(
        update={
            "model": spec.model.model_copy(update={"source": source}),
            "data": spec.data.model_copy(update={"path": data}),
        }
    )


def model_origin(spec: RunSpec, project: Path) -> Origin:
    """Which model the project needs."""
    folder = model_path(spec.model.source, project)
    if folder is None:
        return Origin(name=spec.model.source)
    known = fingerprint(folder) if (folder / "config.json").is_file() else ""
    return Origin(name=folder.name, fingerprint=known, is_local=True)


def data_origin(spec: RunSpec, project: Path, *, is_included: bool) -> Origin:
    """Which rows the project needs.

    Raises:
        UserError: they should travel along and are not there.
    """
    path = data_path(spec.data.path, project)
    if not path.is_file():
        if is_included:
            raise UserError(f"The data {path} is not there.", "Leave it out: --with adapter, or no --with at all.")
        return Origin(name=path.name, is_local=True)
    return Origin(name=path.name, fingerprint=fingerprint_file(path), is_local=True, is_included=is_included)


def run_texts(run: Run, project: Path) -> Iterator[tuple[str, str]]:
    """(path in the bundle, text) of a run's record and metrics."""
    record = run.record()
    spec = portable_spec(run.frozen_spec(), project)
    cleaned = {
        "version": record.get("version", 1),
        "created": record.get("created", ""),
        "spec": spec.model_dump(mode="json", exclude={"version"}),
        "fingerprints": run.fingerprints,
    }
    yield f"runs/{run.name}/run.yaml", dump(cleaned)
    lines = [events.encode(event) for event in map(_without_traces, history(run.events_path)) if event is not None]
    yield f"runs/{run.name}/events.jsonl", "".join(f"{line}\n" for line in lines)


def result_files(run: Run) -> Iterator[tuple[str, Path]]:
    """(path in the bundle, file) of a run's tuned weights and what is needed to use them."""
    for pattern in _RESULT_FILES:
        for path in sorted(run.result_dir.glob(pattern)):
            if path.is_file() and not path.is_symlink():
                yield f"runs/{run.name}/result/{path.name}", path


def cleaned_json(text: str) -> str:
    """A JSON document in which every absolute path is cut down to its last part."""
    return json.dumps(_clean(json.loads(text)), indent=1)


def with_result(project: Project) -> Run | None:
    """The newest run that has tuned weights."""
    return next((run for run in reversed(project.runs()) if any(run.result_dir.glob("*.safetensors"))), None)


def needs_model(origin: Origin) -> bool:
    """Whether whoever opens the bundle has to say where the model is."""
    return origin.is_local and origin.name != STARTER


def _without_traces(event: events.Event) -> events.Event | None:
    """An event as it may travel, or None. Samples and notices quote rows and paths, so they stay here."""
    if isinstance(event, events.Hello):
        return event.model_copy(update={"pid": 0})
    if isinstance(event, events.Failed):
        return events.Failed(seq=event.seq, time=event.time, kind=event.kind, message="The run failed.")
    if isinstance(event, events.Phase):
        return event if event.unit == "steps" else None
    return event if isinstance(event, events.Step | events.Eval | events.Memory | events.Done) else None


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _clean(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_clean(inner) for inner in value]
    is_path = isinstance(value, str) and (value.startswith(("/", "~", "\\")) or value[1:3] in (":\\", ":/"))
    return value.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] if is_path else value
