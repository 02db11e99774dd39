"""Days of the week and months of the year. Closed sets: only wordings are held out."""

from collections.abc import Callable, Sequence
from random import Random

from .kinds import Item, Kind
from .words import words

DAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = words("January February March April May June July August September October November December")
LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _step(names: Sequence[str], slot: str, step: int) -> Callable[[Random], Item]:
    def draw(rng: Random) -> Item:
        place = rng.randrange(len(names))
        return Item({slot: names[place]}, names[(place + step) % len(names)])

    return draw


def _month_days(rng: Random) -> Item:
    place = rng.randrange(12)
    return Item({"month": MONTHS[place]}, str(LENGTHS[place]))


KINDS = (
    Kind(
        "day_after", _step(DAYS, "day", 1),
        ("What day comes after {day}?", "Which day follows {day}?", "What is the day after {day}?",
         "Tell me the day after {day}.", "If today is {day}, what day is tomorrow?", "Which day is after {day}?"),
        ("Which day comes after {day}?", "What day follows {day}?", "Today is {day}. What day is tomorrow?"),
        "After {day} comes {answer}.", ("And after {day}?", "What about after {day}?"), lexicon=DAYS, weight=0.7,
    ),
    Kind(
        "day_before", _step(DAYS, "day", -1),
        ("What day comes before {day}?", "Which day is just before {day}?", "What is the day before {day}?",
         "Tell me the day before {day}.", "If today is {day}, what day was yesterday?", "Which day is before {day}?"),
        ("Which day comes before {day}?", "Today is {day}. What day was yesterday?"),
        "Before {day} comes {answer}.", ("And before {day}?", "What about before {day}?"), lexicon=DAYS, weight=0.7,
    ),
    Kind(
        "month_after", _step(MONTHS, "month", 1),
        ("What month comes after {month}?", "Which month follows {month}?", "What is the month after {month}?",
         "Tell me the month after {month}.", "If it is {month} now, what month is next?",
         "Which month is after {month}?"),
        ("Which month comes after {month}?", "What month follows {month}?"),
        "After {month} comes {answer}.", ("And after {month}?",
        "What about after {month}?"), lexicon=MONTHS, weight=0.7,
    ),
    Kind(
        "month_days", _month_days,
        ("How many days are in {month}?", "How many days does {month} have?", "How long is {month}?",
         "Tell me how many days {month} has.", "What number of days does {month} have?", "How many days has {month}?"),
        ("Do you know how many days {month} has?", "How many days are there in {month}?"),
        "{month} has {answer} days.", ("And {month}?", "What about {month}?"), weight=0.7,
    ),
)  # fmt: skip
