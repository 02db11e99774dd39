"""What can go wrong, told to a person: a sentence, and the way out. Bugs are not here: they crash loudly."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an input.

    Attributes:
        path: where, as a setting ("train.max_length"), or a file and line ("rows.jsonl:12").
        message: what is wrong, one sentence.
        hint: the way out, one sentence; may be empty when the message says it.
        is_fatal: False for a warning that does not keep a run from starting.
    """

    path: str
    message: str
    hint: str = ""
    is_fatal: bool = True

    def __str__(self) -> str:
        return " ".join(part for part in (f"{self.path}:" if self.path else "", self.message, self.hint) if part)

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


class UserError(Exception):
    """Something a person can put right: exit code 2, no traceback."""

    def __init__(self, message: str, hint: str = "", *, problems: Iterable[Problem] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.problems = tuple(problems)

    def __str__(self) -> str:
        lines = [f"{self.message} {self.hint}".strip(), *(f"  - {problem}" for problem in self.problems)]
        return "\n".join(lines)

    @classmethod
    def from_problems(cls, problems: Iterable[Problem], what: str = "This cannot start yet.") -> UserError:
        """One error that lists all fatal problems."""
        return cls(what, problems=[problem for problem in problems if problem.is_fatal])


class Cancelled(Exception):
    """The person asked to stop: silence, exit code 130."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint such as 'Did you mean "lora"?', or the list of what there is."""
    choices = list(known)
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.5)
    if close:
        return f'Did you mean "{close[0]}"?'
    return f"Known: {', '.join(sorted(choices))}."
