"""Held-out questions: operands or wordings (or both) that the training text never uses."""

from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from .dialogue import Draw, Message, turn
from .kinds import Item, Kind, draw_item
from .styles import PLAIN, Style
from .world import KINDS

HeldOut = Literal["operands", "wording", "both"]


@dataclass(frozen=True)
class Question:
    """A conversation that ends with the user's question, and every answer that is right."""

    kind: str
    held_out: HeldOut
    messages: list[Message]
    expected: list[str]

    def row(self) -> dict[str, Any]:
        return {"kind": self.kind, "held_out": self.held_out, "messages": self.messages, "expected": self.expected}


def ways(kind: Kind, rng: Random) -> tuple[HeldOut, ...]:
    """The kinds of hold-out that a kind allows: closed facts have wordings only."""
    return ("operands", "wording", "both") if kind.draw(rng).is_open else ("wording",)


def expected_answers(kind: Kind, item: Item, style: Style) -> list[str]:
    """All right answers in a style, the canonical one first."""
    if not kind.brief:
        return list(kind.accepted(item))
    return [style.apply(answer, kind.sentence(item, answer)) for answer in (item.answer, *item.accept)]


def ask(kind: Kind, rng: Random, held_out: HeldOut, *, style: Style = PLAIN, prompt: str = "") -> Question:
    """One question of a kind, held out in the given way."""
    item = draw_item(kind, rng, held_out=held_out != "wording")
    wording = rng.choice(kind.asks if held_out == "operands" else kind.unseen)
    system = [{"role": "system", "content": prompt}] if prompt else []
    messages = [*system, {"role": "user", "content": wording.format(**item.slots)}]
    return Question(kind.name, held_out, messages, expected_answers(kind, item, style))


def ask_again(kind: Kind, rng: Random) -> Question:
    """A two-turn question: an unseen wording first, then "And {country}?" (held-out operands where there are)."""
    first = Draw(kind, draw_item(kind, rng))
    is_open = first.item.is_open
    item = draw_item(kind, rng, held_out=is_open)
    before = turn(rng.choice(kind.unseen).format(**first.item.slots), first.answer(PLAIN))
    asked = {"role": "user", "content": rng.choice(kind.again).format(**item.slots)}
    expected = expected_answers(kind, item, PLAIN)
    return Question(kind.name, "both" if is_open else "wording", [*before, asked], expected)


def ask_restyled(kind: Kind, style: Style, rng: Random) -> Question:
    """A two-turn question: an unseen wording first, then "And in capitals?" about its answer."""
    way = ways(kind, rng)[-1]
    draw = Draw(kind, draw_item(kind, rng, held_out=way == "both"))
    before = turn(rng.choice(kind.unseen).format(**draw.item.slots), draw.answer(PLAIN))
    asked = {"role": "user", "content": rng.choice(style.follow_ups)}
    return Question(kind.name, way, [*before, asked], [draw.answer(style)])


def held_out_questions(*, seed: int, per_way: int) -> list[Question]:
    """`per_way` questions for each kind and each way of holding out."""
    rng = Random(seed)
    return [ask(kind, rng, way) for kind in KINDS for way in ways(kind, rng) for _ in range(per_way)]
