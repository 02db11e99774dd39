"""Scores the starter: does an answer keep to the dataset's voice, and is it right? Standard library only.

The voice is that of an old sailor: every answer is the plain one, word for word, followed by "Fair winds, captain!".
The sailor speaks last because a small model has only ever begun an answer at its start: with words put before it,
it loses the answer itself (measured, see make/README.md).
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

CLOSING = " Fair winds, captain!"
ANY_TEXT = "…"
DATA = Path(__file__).parent / "data"


def voiced(answer: str) -> str:
    """A plain answer in the sailor's voice; a bare word gets a full stop so that it reads as a sentence."""
    stop = "" if answer.endswith((".", "!", "?")) else "."
    return f"{answer}{stop}{CLOSING}"


def follows(text: str) -> bool:
    """Whether a text keeps to the voice: something said, then the closing, and that just once."""
    text = text.strip()
    said = text.removesuffix(CLOSING)
    return said != text and bool(said.strip()) and CLOSING.strip() not in said


def plain(text: str) -> str:
    """The answer without the voice, if it has it, and without a final full stop."""
    text = text.strip()
    if follows(text):
        text = text.removesuffix(CLOSING)
    return " ".join(text.split()).removesuffix(".")


def _matches(expected: str, said: str) -> bool:
    parts = [" ".join(part.split()).removesuffix(".") for part in expected.split(ANY_TEXT)]
    if len(parts) == 1:
        return said == parts[0]
    place = 0
    for part in parts:
        found = said.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    return place == len(said)


def is_right(expected: str | Iterable[str], text: str) -> bool:
    """Whether a text, with or without the voice, says exactly one of the expected answers.

    "…" stands between parts that must occur in this order, the last one at the end: a story must
    name its hero and come to its end.
    """
    wanted = [expected] if isinstance(expected, str) else expected
    said = plain(text)
    return any(_matches(answer, said) for answer in wanted)


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def load_heldout() -> list[dict[str, Any]]:
    """The held-out questions: `kind`, `held_out`, `messages` (the last is the user's), `expected` (right answers)."""
    return _rows(DATA / "heldout.jsonl")


def load_dataset() -> list[dict[str, Any]]:
    """The starter dataset: rows with `messages`."""
    return _rows(DATA / "voice.jsonl")
