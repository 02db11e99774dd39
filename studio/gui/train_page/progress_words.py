"""How far a run is, in the measures in which people think of it: epochs and rows besides steps."""

from __future__ import annotations

from studio.gui import figures
from studio.project.curves import RunCurves
from studio.sizes import counted
from studio.spec.run_spec import RunSpec


def epoch_words(curves: RunCurves, spec: RunSpec | None) -> str:
    """'epoch 1.7 of 3'; "" where a number of steps was asked for, or nothing is known."""
    if spec is None or spec.train.steps or not curves.total or not curves.step:
        return ""
    return f"epoch {spec.train.epochs * curves.step / curves.total:.1f} of {spec.train.epochs:g}"


def row_words(curves: RunCurves, spec: RunSpec | None) -> str:
    """'3,248 rows read, 4 a step'; "" where rows are packed together and so not counted by steps."""
    if spec is None or spec.train.packing or not curves.step:
        return ""
    each = spec.train.batch_size * spec.train.accumulation
    return f"{counted(curves.step * each, 'row')} read, {figures.count(each)} a step"
