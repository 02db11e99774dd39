"""What people tune a model for. Each goal proposes settings; what a proposal does to a draft is in `presets`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Proposal:
    """One setting that a goal proposes.

    Attributes:
        path: as `--set` names it.
        value: what to set it to.
        why: one sentence for someone who has not read the paper.
    """

    path: str
    value: Any
    why: str


@dataclass(frozen=True)
class Goal:
    """Something to tune for.

    Attributes:
        key: `goal.kind` in a project.
        title, summary: for people.
        needs: how many rows it usually takes, and of what kind.
        caution: what tuning cannot do here; "" when there is nothing to warn of.
        proposals: in the order in which they are shown.
    """

    key: str
    title: str
    summary: str
    needs: str
    caution: str
    proposals: tuple[Proposal, ...]


_ANSWERS = Proposal("data.train_on", "answers", "Learns every answer; questions are only read.")

_ALL = (
    Goal(
        key="tone",
        title="A tone",
        summary="It should sound like you: support replies, a brand's voice, a character.",
        needs="100 to 1,000 conversations in that tone.",
        caution="",
        proposals=(
            _ANSWERS,
            Proposal("train.epochs", 3.0, "A manner is learned within a few passes."),
            Proposal("method.rank", 16, "A tone changes little of what the model knows."),
        ),
    ),
    Goal(
        key="format",
        title="A format",
        summary="Answers in a fixed shape: JSON, SQL, a form, a report.",
        needs="200 or more examples; every one in exactly the wanted shape.",
        caution="",
        proposals=(
            Proposal("data.train_on", "last_answer", "Only the last answer shows the wanted shape."),
            Proposal("train.epochs", 3.0, "Exact shapes settle within a few passes."),
            Proposal("method.rank", 16, "A shape changes little of what the model knows."),
        ),
    ),
    Goal(
        key="task",
        title="A task",
        summary="One thing done well: classify, extract, summarise, translate, write code.",
        needs="500 or more solved examples, the hard cases among them.",
        caution="",
        proposals=(
            Proposal("data.train_on", "last_answer", "The last answer is the solution."),
            Proposal("train.epochs", 3.0, "More passes begin to repeat the examples by heart."),
            Proposal("method.rank", 32, "Skills need more room than a tone."),
        ),
    ),
    Goal(
        key="facts",
        title="New facts",
        summary="Names, rules and numbers it has never read: products, a handbook, a world of your own.",
        needs="Each fact asked in several ways: 5 to 10 rows for each.",
        caution="Tuning learns facts slowly and may mix them up. Keep the text at hand where wording must be exact.",
        proposals=(
            _ANSWERS,
            Proposal("train.epochs", 5.0, "Facts need more passes than a manner."),
            Proposal("method.rank", 64, "New knowledge needs a wide adapter."),
        ),
    ),
    Goal(
        key="text",
        title="A language or subject",
        summary="Long plain text to read: a language, a field, an archive.",
        needs="A megabyte of clean text or more.",
        caution="It learns to go on with text, not to answer. Add conversations if it should still chat.",
        proposals=(
            Proposal("data.train_on", "everything", "Plain text has no answers: all of it counts."),
            Proposal("train.epochs", 1.0, "Much text needs to be read once."),
            Proposal("train.packing", True, "Texts of uneven length fill each batch."),
            Proposal("method.rank", 64, "A language needs a wide adapter."),
        ),
    ),
)

GOALS: dict[str, Goal] = {goal.key: goal for goal in _ALL}
