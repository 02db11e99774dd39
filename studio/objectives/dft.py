"""Dynamic fine-tuning: each token's loss is scaled by its own (detached) probability.

Source: "On the Generalization of SFT: a Reinforcement Learning Perspective with Reward Rectification",
arXiv 2508.05629; the same form as trl's loss_type="dft".
"""

from __future__ import annotations

from typing import Any, Literal

from studio.objectives import Objective, ObjectiveParams


class DftParams(ObjectiveParams):
    """No settings."""

    key: Literal["dft"] = "dft"


def _per_token(nll: Any, params: DftParams) -> Any:
    return nll * (-nll.detach()).exp()


OBJECTIVE = Objective(
    key="dft",
    title="Dynamic fine-tuning (DFT)",
    summary="Weighs each token by how likely the model already finds it; its authors report better generalisation.",
    Params=DftParams,
    per_token=_per_token,
)
