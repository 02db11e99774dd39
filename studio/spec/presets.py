"""From a goal to settings: what it would set in this draft, with the reason for each. Nothing is set behind a back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from studio.errors import UserError, nearest
from studio.spec.fields import assignment
from studio.spec.goals import GOALS, Goal, Proposal
from studio.spec.run_spec import RunSpec
from studio.spec.values import set_values

_FEWEST_STEPS = 60  # fewer optimizer steps rarely change an answer; measured on the starter
_MOST_EPOCHS = 10.0

# Best first when nothing else speaks against it: what the machine manages, and then the least that can go wrong.
# Well-tried ones lead within a verdict; the rest follows in its own order.
_WELL_TRIED = ("lora", "qlora", "full", "lisa")
_RANKS = {"fits": 0, "tight": 1, "": 2, "wears": 3, "short": 4, "impossible": 5}


def proposals(goal: Goal, spec: RunSpec, num_rows: int | None = None) -> tuple[Proposal, ...]:
    """What `goal` would set in `spec`, left out what the draft's method does not have.

    Args:
        num_rows: of the data where it is known: few rows are seen more often.
    """
    found = (_for_rows(proposal, spec, num_rows) for proposal in goal.proposals)
    return tuple(proposal for proposal in found if _has(spec, proposal.path))


def assignments(key: str, spec: RunSpec, num_rows: int | None = None) -> list[str]:
    """The edits that choosing the goal `key` makes, as `path=value`."""
    settings = [assignment(proposal.path, proposal.value) for proposal in proposals(GOALS[key], spec, num_rows)]
    return [assignment("goal.kind", key), *settings]


def propose(key: str, spec: RunSpec) -> RunSpec:
    """The draft with what a goal proposes; "" proposes nothing.

    Raises:
        UserError: there is no such goal.
    """
    if key and key not in GOALS:
        raise UserError(f'There is no goal "{key}".', nearest(key, GOALS))
    return set_values(spec, assignments(key, spec)) if key else spec


def order_by_fit(verdicts: Mapping[str, str]) -> list[str]:
    """Method keys, what fits first; within one verdict the well-tried ones, then the order given."""

    def place(key: str) -> tuple[int, int]:
        standing = _WELL_TRIED.index(key) if key in _WELL_TRIED else len(_WELL_TRIED)
        return _RANKS.get(verdicts[key], 2), standing

    return sorted(verdicts, key=place)


def _for_rows(proposal: Proposal, spec: RunSpec, num_rows: int | None) -> Proposal:
    if proposal.path != "train.epochs" or not num_rows:
        return proposal
    batch = spec.train.batch_size * spec.train.accumulation
    wanted = min(float(math.ceil(_FEWEST_STEPS * batch / num_rows)), _MOST_EPOCHS)
    if wanted <= proposal.value:
        return proposal
    return replace(proposal, value=wanted, why=f"{num_rows:,} rows are few: each is seen more often.")


def _has(spec: RunSpec, path: str) -> bool:
    section, name = path.split(".")
    return name in type(getattr(spec, section)).model_fields
