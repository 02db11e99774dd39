"""Negative log-likelihood: plain supervised fine-tuning."""

from __future__ import annotations

from typing import Any, Literal

from studio.objectives import Objective, ObjectiveParams


class NllParams(ObjectiveParams):
    """No settings: every trained token counts the same."""

    key: Literal["nll"] = "nll"


def _per_token(nll: Any, params: NllParams) -> Any:
    return nll


OBJECTIVE = Objective(
    key="nll",
    title="Supervised",
    summary="Raises the probability of every trained token. The usual choice for question-and-answer rows.",
    Params=NllParams,
    per_token=_per_token,
)
