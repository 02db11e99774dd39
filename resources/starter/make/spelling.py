"""Questions about the letters of words: length, spelling, first and last letters, plurals, rhymes, ordering."""

from random import Random

from .kinds import Item, Kind
from .words import ONSETS, any_word, words

RHYMES = {
    "at": "cat hat bat rat mat", "an": "man fan pan van can", "og": "dog frog log fog",
    "ake": "cake lake snake rake",
    "ing": "king ring sing wing", "ight": "night light right fight", "all": "ball wall tall fall",
    "ell": "bell shell well tell", "ook": "book cook look hook", "ool": "cool pool school tool",
    "oat": "boat coat goat float", "ee": "tree bee see free", "ay": "day play say way", "ock": "clock rock sock lock",
    "ump": "jump bump lump pump", "unk": "trunk junk skunk sunk", "est": "nest best rest test",
    "ill": "hill mill bill will", "ain": "rain train brain pain", "ack": "back sack black track",
    "ink": "pink drink think sink", "op": "top shop hop stop", "ug": "bug rug mug hug", "ed": "bed red fed led",
    "ot": "hot pot dot not", "in": "pin win thin tin", "eep": "sheep sleep deep keep",
    "ound": "round sound found hound",
    "ame": "name game same flame", "one": "bone stone phone cone",
}  # fmt: skip
IRREGULAR = {
    "mouse": "mice", "goose": "geese", "child": "children", "man": "men", "woman": "women", "tooth": "teeth",
    "foot": "feet", "person": "people", "leaf": "leaves", "knife": "knives", "wolf": "wolves", "sheep": "sheep",
    "fish": "fish", "deer": "deer", "ox": "oxen", "half": "halves", "shelf": "shelves", "loaf": "loaves",
}  # fmt: skip
AMBIGUOUS = frozenset(words("potato tomato scarf hoof roof grass"))


def spelled(word: str) -> str:
    """c-a-t."""
    return "-".join(word)


def plural_of(noun: str) -> str:
    """The plural of a noun, by the school rules."""
    if noun in IRREGULAR:
        return IRREGULAR[noun]
    if noun.endswith(("s", "x", "ch", "sh", "z")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def _length(rng: Random) -> Item:
    word = any_word(rng)
    return Item({"word": word, "spelled": spelled(word)}, str(len(word)), is_open=True)


def _spell(rng: Random) -> Item:
    word = any_word(rng)
    return Item({"word": word}, spelled(word), is_open=True)


def _first(rng: Random) -> Item:
    word = any_word(rng)
    return Item({"word": word}, word[0], is_open=True)


def _plural(rng: Random) -> Item:
    if rng.random() < 0.15:
        noun = rng.choice(tuple(IRREGULAR))
        return Item({"word": noun}, IRREGULAR[noun])
    noun = any_word(rng)
    while noun in IRREGULAR or noun in AMBIGUOUS or noun[-1] in "ofz":
        noun = any_word(rng)
    return Item({"word": noun}, plural_of(noun), is_open=True)


def _rhyme(rng: Random) -> Item:
    """A listed word, or an invented one with a listed ending: the ending alone decides the answer."""
    ending = rng.choice(tuple(RHYMES))
    listed = RHYMES[ending].split()
    word = rng.choice(listed) if rng.random() < 0.5 else rng.choice(ONSETS) + ending
    others = [other for other in listed if other != word]
    return Item({"word": word}, others[0], accept=tuple(others[1:]), is_open=True)


KINDS = (
    Kind(
        "word_length", _length,
        ("How many letters are in {word}?", "How many letters does {word} have?", "How long is the word {word}?",
         "Count the letters in {word}.", "How many letters has the word {word}?",
         "What is the length of the word {word}?",
         "Tell me how many letters are in {word}."),
        ("How many letters are in the word {word}?", "Count the letters in the word {word}.",
         "Tell me how many letters {word} has."),
        "{spelled} has {answer} letters.", ("And {word}?", "What about {word}?"), weight=4.0,
    ),
    Kind(
        "spell", _spell,
        ("Spell {word}.", "How do you spell {word}?", "Spell the word {word}.", "Can you spell {word}?",
         "Please spell {word}.", "What is the spelling of {word}?"),
        ("Can you spell the word {word}?", "How is {word} spelled?"),
        "{answer}.", ("And {word}?", "Now {word}."), weight=4.0,
    ),
    Kind(
        "first_letter", _first,
        ("What is the first letter of {word}?", "Which letter does {word} start with?",
         "What letter does {word} begin with?",
         "Tell me the first letter of {word}.", "What letter comes first in {word}?", "The first letter of {word}?"),
        ("Which letter comes first in {word}?", "What letter does {word} start with?"),
        "{word} starts with {answer}.", ("And {word}?", "What about {word}?"), weight=1.0,
    ),
    Kind(
        "plural", _plural,
        ("What is the plural of {word}?", "Give me the plural of {word}.", "The plural of {word}?",
         "What do you call more than one {word}?", "One {word}, two what?", "Tell me the plural of {word}.",
         "How do you say {word} in the plural?"),
        ("Do you know the plural of {word}?", "One {word}, many what?", "What do you say for more than one {word}?"),
        "One {word}, two {answer}.", ("And of {word}?", "What about {word}?"), weight=1.5,
    ),
    Kind(
        "rhyme", _rhyme,
        ("What rhymes with {word}?", "Give me a rhyme for {word}.", "Find a word that rhymes with {word}.",
         "Which word rhymes with {word}?", "Tell me a word that rhymes with {word}.", "Name a rhyme for {word}.",
         "A rhyme for {word}?"),
        ("Do you know a rhyme for {word}?", "What word rhymes with {word}?", "Give me a word that rhymes with {word}."),
        "{word} rhymes with {answer}.", ("And with {word}?", "What about {word}?"), weight=1.5,
    ),
)  # fmt: skip
