"""What is worth a look in a file's rows, counted, with what can be done about it. Only what is really computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from studio.data.store.view import FILTERS, Rows

Fix = Literal["", "drop", "mark_emails", "raise_max_length"]


@dataclass(frozen=True)
class Finding:
    """Something found in some rows.

    Attributes:
        key: the filter that shows exactly these rows.
        title: for people.
        count: rows.
        tone: how much it matters ("danger", "warn", "info").
        fix: what one click does about it; "" for nothing but a look.
        fix_text: the words of that click.
        drops: the filter of the rows that "drop" leaves out.
        explanation: what it means, a sentence or two.
    """

    key: str
    title: str
    count: int
    tone: Literal["danger", "warn", "info"]
    fix: Fix
    fix_text: str
    drops: str
    explanation: str


@dataclass(frozen=True)
class _Kind:
    key: str
    tone: Literal["danger", "warn", "info"]
    fix: Fix
    fix_text: str
    explanation: str


_KINDS = (
    _Kind(
        "leaked",
        "danger",
        "drop",
        "Keep one of each",
        "Rows to learn from that are held out as well: the held-out loss would look better than it is.",
    ),
    _Kind(
        "repeats",
        "warn",
        "drop",
        "Keep one of each",
        "Rows with the same words as an earlier row, case and punctuation aside. They are learned several times.",
    ),
    _Kind(
        "emails",
        "warn",
        "mark_emails",
        "Replace with a mark",
        'A model can repeat addresses that it learned. The mark is "[e-mail]".',
    ),
    _Kind("echo", "info", "drop", "Leave them out", "The answer says nothing but the question again."),
    _Kind(
        "question_last",
        "info",
        "",
        "",
        "The last turn is the user's: nothing answers it, so nothing is learned from it.",
    ),
    _Kind("one_word", "info", "", "", "Answers of a single word teach to answer shortly. Fine where that is wanted."),
)


def findings(rows: Rows) -> list[Finding]:
    """What was found, worst first."""
    found = []
    for kind in _KINDS:
        if count := int(FILTERS[kind.key].mask(rows).sum()):
            title = FILTERS[kind.key].title
            # Which rows are held out depends on their number: only without any repeats is there no leak for certain.
            drops = "repeats" if kind.key == "leaked" else kind.key
            found.append(Finding(kind.key, title, count, kind.tone, kind.fix, kind.fix_text, drops, kind.explanation))
    return found


@dataclass(frozen=True)
class Figures:
    """Sums over the rows that can be used.

    Attributes:
        rows: rows of the file.
        set_aside: rows that cannot be used.
        held_out: rows that are measured on and never learned, those set aside among them.
        tokens: of all of them, as far as counted, cut where they are too long.
        longest, shortest_trained: tokens of the longest row; learned tokens of the row that teaches least.
        too_long: rows that are cut.
        answer_lost: rows of which the cut leaves nothing to learn.
        is_counted: whether every row's length is known.
    """

    rows: int
    set_aside: int
    held_out: int
    tokens: int
    longest: int
    shortest_trained: int
    too_long: int
    answer_lost: int
    is_counted: bool


def figures(rows: Rows) -> Figures:
    """The sums."""
    good = rows.lengths[rows.lengths["length"] >= 0]
    limit = rows.split.max_length or np.iinfo(np.int32).max
    return Figures(
        rows=rows.num_rows,
        set_aside=int(rows.set_aside().sum()),
        held_out=int(rows.held_out().sum()),
        tokens=int(np.minimum(good["length"], limit).astype(np.int64).sum()),
        longest=int(good["length"].max(initial=0)),
        shortest_trained=int(good["trained"].min()) if len(good) else 0,
        too_long=int(rows.too_long().sum()),
        answer_lost=int(rows.answer_lost().sum()),
        is_counted=rows.is_counted,
    )
