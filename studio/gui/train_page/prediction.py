"""The planned memory peak of a run, worked out on a thread from what the run was made of."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from studio.errors import UserError
from studio.gui.tasks import Control
from studio.machine.resources import Resources
from studio.models.source import STARTER, resolve_model
from studio.project.runs import Run
from studio.spec.run_spec import RunSpec


def predict(control: Control, run: Run, spec: RunSpec, resources: Resources) -> int | None:
    """Bytes at the fullest moment, as seen before the run where somebody had it looked at.

    None where the base model is not on this computer any more.
    """
    if run.probe_path.is_file():
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # damaged: work it out
            return int(json.loads(run.probe_path.read_text(encoding="utf-8"))["peak_bytes"])
    from studio.models.facts import read_facts  # heavy
    from studio.planner.forecast import forecast  # heavy
    from studio.planner.machine import machine_of  # heavy
    from studio.planner.row_sample import read_lengths  # heavy

    try:
        base = _base(spec)
        if base is None:
            return None
        rows = read_lengths(spec, base, is_cancelled=control.is_cancelled)
        return forecast(spec, read_facts(base), machine_of(resources), rows).peak_bytes
    except UserError:
        return None  # the run is shown without the line


def _base(spec: RunSpec) -> Path | None:
    """The base model's folder, without any download."""
    source, revision = spec.model.source, spec.model.revision
    if source == STARTER or Path(source).is_dir():
        return resolve_model(source, revision)
    from studio.models.hub import find_cached  # heavy: huggingface_hub

    return find_cached(source, revision)
