"""From a tuned model and a target to finished files: where they go, whether they fit, and nothing half-made."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
import tempfile
from pathlib import Path

from studio.errors import UserError
from studio.export.forecast import assert_room
from studio.export.quant_types import QuantType
from studio.export.target import Output, Target, Watch
from studio.paths import atomic_path, fsync_dir
from studio.project.tuned import Tuned


def plan_outputs(tuned: Tuned, target: Target, quants: list[QuantType], out: Path | None) -> list[Output]:
    """What will be made and where, once it is sure that it fits.

    Args:
        tuned: what to export.
        target: as what.
        quants: types, for targets that have them.
        out: a folder, or the file or folder itself when one thing is made; None takes the project's `exports`, or
            this folder for a model without a run.

    Raises:
        UserError: it does not fit on the disk, or cannot be exported so.
    """
    stem = tuned.name
    folder = out or (tuned.run.exports_dir if tuned.run else Path.cwd())
    is_named = out is not None and out.suffix == ".gguf"
    outputs = target.plan(tuned, folder.parent if is_named else folder, stem, quants)
    if is_named and out is not None:
        if len(outputs) != 1 or outputs[0].path.suffix != ".gguf":
            raise UserError(f"{out.name} is one file, the export makes others.", "Name a folder with --out.")
        outputs = [dataclasses.replace(outputs[0], path=out)]
    outputs[0].path.parent.mkdir(parents=True, exist_ok=True)
    taken = [output.path for output in outputs if output.path.is_dir()]
    if taken:
        raise UserError(f"{taken[0]} exists already.", "Remove it, or choose another folder.")
    assert_room(outputs, outputs[0].path.parent)
    return outputs


def make_output(tuned: Tuned, target: Target, output: Output, watch: Watch) -> None:
    """Write one output under a temporary name beside its place, and give it its name when it is complete.

    Raises:
        Cancelled: the person asked; UserError: the disk ran full. Nothing is left of it either way.
    """
    try:
        _make(tuned, target, output, watch)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(
            f"The disk of {output.path.parent} ran full while {output.path.name} was written. Nothing is left of it;"
            " what was finished before is complete.",
            "Free some space, or choose a folder on another disk.",
        ) from error


def _make(tuned: Tuned, target: Target, output: Output, watch: Watch) -> None:
    if output.quant is not None or output.path.suffix == ".gguf":
        with atomic_path(output.path) as path:
            target.write(tuned, output, watch, path)
        return
    parent = Path(tempfile.mkdtemp(prefix=".export.", suffix=".part", dir=output.path.parent))
    try:
        target.write(tuned, output, watch, parent / "made")
        os.replace(parent / "made", output.path)
        fsync_dir(output.path.parent)
    finally:
        shutil.rmtree(parent, ignore_errors=True)
