"""Turns drawn questions into conversations of chat messages: one turn, two turns, or a longer chat."""

from dataclasses import dataclass
from random import Random

from .kinds import Item, Kind, draw_item
from .styles import PLAIN, STYLES, Style
from .world import BY_NAME, KINDS

Message = dict[str, str]
OPENERS = (
    "Please tell me: ",
    "Hey! ",
    "Tell me: ",
    "Question: ",
    "Quick question: ",
    "Hi. ",
    "Now: ",
    "OK. ",
    "Next: ",
)
CLOSERS = (" Thanks.", " Please.", " Thank you!", " I need to know.")


@dataclass(frozen=True)
class Draw:
    """One question of a kind with its operands."""

    kind: Kind
    item: Item

    def answer(self, style: Style) -> str:
        """The answer in a style; kinds without a bare answer are left as they are."""
        sentence = self.kind.sentence(self.item)
        return style.apply(self.item.answer, sentence) if self.kind.brief else sentence


def pick_kind(rng: Random) -> Kind:
    return rng.choices(KINDS, [kind.weight for kind in KINDS])[0]


def vary(question: str, rng: Random) -> str:
    """The small differences between people: an opener, a closing word, no capital, no full stop."""
    chance = rng.random()
    if chance < 0.12:
        return rng.choice(OPENERS) + question
    if chance < 0.18:
        return question + rng.choice(CLOSERS)
    if chance < 0.28:
        return question[0].lower() + question[1:]
    return question.rstrip("?.!= ") if chance < 0.36 else question


def turn(user: str, assistant: str) -> list[Message]:
    return [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]


def question_turn(draw: Draw, style: Style, rng: Random) -> list[Message]:
    """A question in one of its trained wordings, with its answer."""
    asked = rng.choice(draw.kind.asks).format(**draw.item.slots)
    return turn(vary(asked, rng), draw.answer(style))


def again_turn(kind: Kind, style: Style, rng: Random) -> list[Message]:
    """The follow-up "And {country}?" after a question of the same kind."""
    draw = Draw(kind, draw_item(kind, rng))
    return turn(rng.choice(kind.again).format(**draw.item.slots), draw.answer(style))


def restyle_turn(draw: Draw, rng: Random) -> list[Message]:
    """The follow-up "And in capitals?" about the answer just given."""
    style = rng.choice([style for style in (PLAIN, *STYLES) if style.follow_ups])
    return turn(rng.choice(style.follow_ups), draw.answer(style))


def name_turns(rng: Random) -> list[Message]:
    """A name told and asked back, sometimes with a question in between."""
    kind = BY_NAME["introduction"]
    told = Draw(kind, draw_item(kind, rng))
    between = question_turn(draw_any(rng), PLAIN, rng) if rng.random() < 0.3 else []
    asked = rng.choice(("What is my name?", "Who am I?", "Do you remember my name?", "What's my name?", "Say my name."))
    return [*question_turn(told, PLAIN, rng), *between, *turn(asked, f"Your name is {told.item.slots['name']}.")]


def draw_any(rng: Random) -> Draw:
    kind = pick_kind(rng)
    return Draw(kind, draw_item(kind, rng))


def role_name_chat(rng: Random) -> list[Message]:
    """A system prompt that gives the model a name, which it then uses."""
    kind = BY_NAME["introduction"]
    name = draw_item(kind, rng).slots["name"]
    prompt = rng.choice(("Your name is {name}.", "You are {name}.", "You are called {name}.")).format(name=name)
    asked = rng.choice(("What is your name?", "Who are you?", "What's your name?", "Introduce yourself.",
                        "What should I call you?", "Do you have a name?", "Tell me who you are."))  # fmt: skip
    return [{"role": "system", "content": prompt}, *turn(asked, f"My name is {name}.")]


def chat(rng: Random) -> list[Message]:
    """One conversation of the training text."""
    chance = rng.random()
    if chance < 0.02:
        return role_name_chat(rng)
    if chance < 0.05:
        return name_turns(rng)
    style = rng.choice(STYLES) if rng.random() < 0.25 else PLAIN
    prompt = rng.choice(style.prompts)
    if style is PLAIN and rng.random() < 0.7:
        prompt = ""
    system = [{"role": "system", "content": prompt}] if prompt else []
    return [*system, *_turns(style, rng)]


def _turns(style: Style, rng: Random) -> list[Message]:
    messages: list[Message] = []
    for _ in range(rng.choices((1, 2, 4), (6, 3, 1))[0]):
        draw = draw_any(rng)
        messages += question_turn(draw, style, rng)
        messages += _follow_up(draw, style, rng)
    return messages


def _follow_up(draw: Draw, style: Style, rng: Random) -> list[Message]:
    chance = rng.random()
    if draw.kind.again and chance < 0.2:
        return again_turn(draw.kind, style, rng)
    if draw.kind.brief and style is PLAIN and chance > 0.9:
        return restyle_turn(draw, rng)
    return []
