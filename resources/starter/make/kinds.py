"""What a kind of question is, and the rule that keeps some of it out of the training text.

The worlds themselves live beside this file (numbers, facts, dates, spelling, talk, stories).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

HELD_OUT_SHARE = 0.1


@dataclass(frozen=True)
class Item:
    """One drawn question: the words for its slots, its bare answer, and other answers that are right too."""

    slots: dict[str, str]
    answer: str
    accept: tuple[str, ...] = ()
    is_open: bool = False

    @property
    def key(self) -> str:
        return "|".join(f"{name}={value}" for name, value in sorted(self.slots.items()))


@dataclass(frozen=True)
class Kind:
    """A family of questions that share their wordings and their rule.

    `asks` are wordings the training text uses, `unseen` are wordings it never uses, `again` are
    short follow-ups ("And {country}?"), `says` is the full-sentence answer. A kind that is not
    `brief` (a greeting, a story) has no bare answer, so the answering styles leave it alone.
    """

    name: str
    draw: Callable[[Random], Item]
    asks: tuple[str, ...]
    unseen: tuple[str, ...]
    says: str = "{answer}"
    again: tuple[str, ...] = ()
    weight: float = 1.0
    brief: bool = True
    lexicon: tuple[str, ...] = field(default=(), repr=False)

    def sentence(self, item: Item, answer: str | None = None) -> str:
        """The full-sentence answer; first letter as written in `says`."""
        return self.says.format(**item.slots, answer=answer or item.answer)

    def accepted(self, item: Item) -> tuple[str, ...]:
        """Every full-sentence answer that counts as right, the canonical one first."""
        return tuple(self.sentence(item, answer) for answer in (item.answer, *item.accept))


def is_held_out(kind: Kind, item: Item) -> bool:
    """Whether these operands are kept out of the training text: by hash, so every script agrees."""
    if not item.is_open:
        return False
    digest = hashlib.sha256(f"{kind.name}:{item.key}".encode()).digest()
    return int.from_bytes(digest[:4], "big") < HELD_OUT_SHARE * 2**32


def draw_item(kind: Kind, rng: Random, *, held_out: bool = False) -> Item:
    """Draw until the operands are on the wanted side of the hold-out."""
    while True:
        item = kind.draw(rng)
        if is_held_out(kind, item) == held_out:
            return item
