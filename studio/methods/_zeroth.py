"""Settings and arithmetic that methods without gradients share."""

from __future__ import annotations

from studio.declare import setting
from studio.methods import MethodParams, Trained
from studio.methods._layers import widest_matrix
from studio.models.arithmetic import Shapes


class ZerothParams(MethodParams):
    """How slopes are told."""

    epsilon: float = setting(
        1e-3,
        title="Distance",
        help="How far weights are moved to either side to tell the slope. Too small drowns in rounding.",
        gt=0,
        le=1,
        advanced=True,
    )
    train_embeddings: bool = setting(
        False,
        title="Train embeddings and head",
        help="Trains embedding, head and last norm too; a moved copy of them is in memory during each pass.",
    )


def hold_nothing(params: ZerothParams, shapes: Shapes) -> Trained:
    """The model and one layer's moved copy (with its direction)."""
    outside = shapes.total - sum(shapes.layer_sizes) if params.train_embeddings else 0
    layer = max(shapes.layer_sizes, default=0)
    return Trained(
        extra_bytes=2 * outside,
        moved=layer,
        scratch_bytes=18 * max(shapes.largest if outside else widest_matrix(shapes), 1),
        backward=False,
        forwards=2.0,
    )
