"""Questions about whole numbers: sums, comparing, ordering, counting, writing in words."""

from collections.abc import Iterable
from random import Random

from .kinds import Item, Kind
from .words import words

UNITS = words("""zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen""")
TENS = words("twenty thirty forty fifty sixty seventy eighty ninety")


def in_words(number: int) -> str:
    """0 to 99 in English words, with a hyphen: forty-two."""
    if number < 20:
        return UNITS[number]
    tens, unit = divmod(number, 10)
    return TENS[tens - 2] + (f"-{UNITS[unit]}" if unit else "")


def _pair(a: int, b: int, answer: int, *, is_open: bool = True) -> Item:
    return Item({"a": str(a), "b": str(b)}, str(answer), is_open=is_open)


def _add(rng: Random) -> Item:
    total = rng.randrange(101)
    a = rng.randint(0, total)
    return _pair(a, total - a, total)


def _subtract(rng: Random) -> Item:
    a = rng.randrange(100)
    b = rng.randint(0, a)
    return _pair(a, b, a - b)


def _multiply(rng: Random) -> Item:
    # The times table is a fact to know, as in school: no pair is held out, only wordings are.
    a, b = rng.randrange(11), rng.randrange(11)
    return _pair(a, b, a * b, is_open=False)


def _several(rng: Random) -> list[int]:
    return rng.sample(range(100), rng.choice((2, 3, 3, 4)))


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(str(number) for number in numbers)


def _extreme(rng: Random, pick: type) -> Item:
    numbers = _several(rng)
    return Item({"list": _listed(numbers)}, str(pick(numbers)), is_open=True)


def _largest(rng: Random) -> Item:
    return _extreme(rng, max)


def _smallest(rng: Random) -> Item:
    return _extreme(rng, min)


def _sort(rng: Random) -> Item:
    numbers = rng.sample(range(100), rng.choice((3, 3, 3, 4)))
    ordered = _listed(sorted(numbers))
    return Item({"list": _listed(numbers)}, ordered, is_open=True)


def _count_up(rng: Random) -> Item:
    first = rng.randrange(60)
    last = first + rng.randint(2, 9)
    return Item({"a": str(first), "b": str(last)}, _listed(range(first, last + 1)), is_open=True)


def _parity(rng: Random) -> Item:
    number = rng.randrange(1000)
    return Item({"n": str(number)}, "odd" if number % 2 else "even", is_open=True)


def _next(rng: Random) -> Item:
    number = rng.randrange(200)
    return Item({"n": str(number)}, str(number + 1), is_open=number > 9)


def _words(rng: Random) -> Item:
    number = rng.randrange(100)
    return Item({"n": str(number)}, in_words(number), is_open=number > 19)


def _digits(rng: Random) -> Item:
    number = rng.randrange(100)
    return Item({"w": in_words(number)}, str(number), is_open=number > 19)


KINDS = (
    Kind(
        "add", _add,
        ("What is {a} + {b}?", "{a} + {b}", "{a} + {b} = ?", "What is {a} plus {b}?", "Add {a} and {b}.",
         "How much is {a} + {b}?", "What do {a} and {b} make together?", "What is the sum of {a} and {b}?",
         "Work out {a} plus {b}.", "Calculate {a} + {b}."),
        ("How much is {a} plus {b}?", "Work out the sum of {a} and {b}.", "What do you get when you add {a} and {b}?"),
        "{a} + {b} = {answer}.", ("And {a} + {b}?", "What about {a} + {b}?", "And {a} plus {b}?"), weight=5.0,
    ),
    Kind(
        "subtract", _subtract,
        ("What is {a} - {b}?", "{a} - {b}", "{a} - {b} = ?", "What is {a} minus {b}?", "Take {b} away from {a}.",
         "How much is {a} - {b}?", "What is left if I take {b} from {a}?", "Subtract {b} from {a}.",
         "Work out {a} minus {b}.", "Calculate {a} - {b}."),
        ("How much is {a} minus {b}?", "What do you get when you take {b} from {a}?"),
        "{a} - {b} = {answer}.", ("And {a} - {b}?", "What about {a} - {b}?", "And {a} minus {b}?"), weight=8.0,
    ),
    Kind(
        "multiply", _multiply,
        ("What is {a} x {b}?", "{a} x {b}", "{a} x {b} = ?", "What is {a} times {b}?", "Multiply {a} by {b}.",
         "How much is {a} x {b}?", "What is {a} multiplied by {b}?", "Work out {a} times {b}.",
         "Calculate {a} x {b}.", "What is {a} * {b}?"),
        ("How much is {a} times {b}?", "Calculate {a} times {b}.", "What do you get when you multiply {a} by {b}?"),
        "{a} x {b} = {answer}.", ("And {a} x {b}?", "What about {a} x {b}?", "And {a} times {b}?"), weight=2.5,
    ),
    Kind(
        "largest", _largest,
        ("Which is the largest of {list}?", "What is the largest number: {list}?", "Find the biggest of {list}.",
         "Which number is the biggest: {list}?", "Of these numbers, which is the largest: {list}?",
         "What is the greatest of {list}?", "Give me the highest of {list}.", "Pick the largest: {list}."),
        ("What is the biggest of {list}?", "Which of these is the largest: {list}?",
         "Find the largest number in {list}."),
        "The largest is {answer}.", ("And of {list}?", "What about {list}?"), weight=1.0,
    ),
    Kind(
        "smallest", _smallest,
        ("Which is the smallest of {list}?", "What is the smallest number: {list}?", "Find the lowest of {list}.",
         "Which number is the smallest: {list}?", "Of these numbers, which is the smallest: {list}?",
         "What is the least of {list}?", "Give me the lowest of {list}.", "Pick the smallest: {list}."),
        ("What is the lowest of {list}?", "Which of these is the smallest: {list}?",
         "Find the smallest number in {list}."),
        "The smallest is {answer}.", ("And of {list}?", "What about {list}?"), weight=1.2,
    ),
    Kind(
        "sort_numbers", _sort,
        ("Sort these numbers: {list}.", "Sort {list}.", "Put these numbers in order: {list}.", "Order {list}.",
         "Arrange these numbers from small to large: {list}.", "Sort the numbers {list}.",
         "Can you put {list} in order?", "Put {list} in order from smallest to largest."),
        ("Can you sort {list}?", "Arrange {list} in order.", "Order these numbers from smallest to largest: {list}."),
        "In order: {answer}.", ("And {list}?", "What about {list}?"), weight=5.0,
    ),
    Kind(
        "count_up", _count_up,
        ("Count from {a} to {b}.", "Please count from {a} to {b}.", "Can you count from {a} to {b}?",
         "Count up from {a} to {b}.", "List the numbers from {a} to {b}.", "Start at {a} and count to {b}.",
         "Say the numbers from {a} to {b}."),
        ("Can you count up from {a} to {b}?", "Give me the numbers from {a} to {b}."),
        "{answer}.", ("And from {a} to {b}?", "Now from {a} to {b}."), weight=3.0,
    ),
    Kind(
        "parity", _parity,
        ("Is {n} even or odd?", "Is {n} odd or even?", "Is the number {n} even or odd?", "Even or odd: {n}?",
         "Tell me whether {n} is even or odd.", "Is {n} an even number or an odd number?", "{n}: even or odd?"),
        ("Odd or even: {n}?", "Tell me if the number {n} is odd or even."),
        "{n} is {answer}.", ("And {n}?", "What about {n}?"), weight=0.8,
    ),
    Kind(
        "next_number", _next,
        ("What number comes after {n}?", "What comes after {n}?", "Which number follows {n}?",
         "What is one more than {n}?",
         "Tell me the number after {n}.", "What is the next number after {n}?", "Which number comes right after {n}?"),
        ("Which number comes after {n}?", "Tell me which number follows {n}."),
        "After {n} comes {answer}.", ("And after {n}?", "What about after {n}?"), weight=0.8,
    ),
    Kind(
        "number_to_words", _words,
        ("Write {n} in words.", "How do you write {n} in words?", "What is {n} in words?", "Spell out the number {n}.",
         "Write the number {n} in words.", "Say {n} in words.", "How is {n} written in words?"),
        ("Can you write {n} in words?", "What is the number {n} in words?"),
        "{n} is {answer}.", ("And {n}?", "What about {n}?"), lexicon=(*UNITS, *TENS), weight=0.6,
    ),
    Kind(
        "words_to_number", _digits,
        ("Write {w} as a number.", "What number is {w}?", "Write {w} in digits.", "What is {w} in digits?",
         "Give me the number {w} in digits.", "How do you write {w} in digits?", "{w} in digits?"),
        ("Can you write {w} in digits?", "What is {w} as a number?"),
        "It is {answer}.", ("And {w}?", "What about {w}?"), lexicon=(*UNITS, *TENS), weight=0.6,
    ),
)  # fmt: skip
