"""What can go wrong, told to a person: a sentence, and the way out. Bugs are not here: they crash loudly."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


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


def from_files(error: OSError) -> UserError | None:
    """The sentence for what a person can put right about a file or a disk; None for what is a bug.

    The place is named by its last part: the whole path of a temporary file says nothing to anybody.
    """
    known = _FILE_TROUBLE.get(error.errno or 0)
    if known is None or not error.filename:
        return None
    path = Path(str(error.filename2 or error.filename))
    message, hint = known
    return UserError(message.format(name=path.name[:60] or str(path), folder=path.parent), hint)


_NO_RIGHT = ("You may not write to {folder}.", "Give yourself the right to, or choose another folder.")
_FULL = ("The disk that holds {folder} is full.", "Make room there. What was written before is safe.")
_GONE = ("{name} is not there any more.", "It was moved or deleted while it was in use.")
_FILE_TROUBLE: dict[int, tuple[str, str]] = {
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
    errno.EROFS: _NO_RIGHT,
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.ENOENT: _GONE,
    errno.ENOTDIR: _GONE,
    errno.ENAMETOOLONG: ("The name {name}… is too long for this disk.", "Use a shorter name, or a folder less deep."),
}


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint such as 'Did you mean "lora"?', or the list of what there is."""
    choices = list(known)
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.5)
    if close:
        return f'Did you mean "{close[0]}"?'
    return f"Known: {', '.join(sorted(choices))}."
