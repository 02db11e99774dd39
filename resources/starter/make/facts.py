"""Facts the model simply knows: capitals, opposites, colours, animals. Only their wordings can be held out."""

from collections.abc import Callable, Mapping
from random import Random

from .kinds import Item, Kind


def _pairs(text: str) -> dict[str, str]:
    """Read "left right, left right"; an underscore stands for a space."""
    parts = (entry.split() for entry in text.split(","))
    return {left.replace("_", " "): right.replace("_", " ") for left, right in parts}


CAPITALS = _pairs(
    """France Paris, Germany Berlin, Italy Rome, Spain Madrid, Portugal Lisbon, England London, Ireland Dublin,
    Scotland Edinburgh, Norway Oslo, Sweden Stockholm, Finland Helsinki, Denmark Copenhagen, Poland Warsaw,
    Austria Vienna, Hungary Budapest, Greece Athens, Turkey Ankara, Russia Moscow, Ukraine Kyiv, Romania Bucharest,
    Bulgaria Sofia, Serbia Belgrade, Croatia Zagreb, Belgium Brussels, Iceland Reykjavik, Switzerland Bern,
    Japan Tokyo, China Beijing, India Delhi, Nepal Kathmandu, Thailand Bangkok, Vietnam Hanoi, Indonesia Jakarta,
    Iran Tehran, Iraq Baghdad, Egypt Cairo, Kenya Nairobi, Morocco Rabat, Ghana Accra, Senegal Dakar, Canada Ottawa,
    Cuba Havana, Peru Lima, Chile Santiago, Colombia Bogota, Ecuador Quito, Argentina Buenos_Aires, Uruguay Montevideo,
    Australia Canberra, Jordan Amman, Lebanon Beirut, Latvia Riga, Estonia Tallinn, Lithuania Vilnius"""
)
OPPOSITES = _pairs(
    """hot cold, big small, tall short, fast slow, happy sad, up down, left right, day night, black white, good bad,
    old new, rich poor, wet dry, hard soft, light dark, full empty, open closed, strong weak, early late, near far,
    high low, loud quiet, clean dirty, heavy light, thick thin, wide narrow, deep shallow, true false, first last,
    in out, on off, yes no, love hate, win lose, buy sell, push pull, give take, start stop, asleep awake, alive dead,
    rough smooth, sharp blunt, sweet sour, brave afraid, safe dangerous, cheap expensive, easy difficult,
    inside outside, above below, before after, always never, laugh cry, north south, east west, summer winter"""
)
COLOURS = _pairs(
    """banana yellow, lemon yellow, tomato red, strawberry red, cherry red, carrot orange, pumpkin orange, grass green,
    frog green, cucumber green, leaf green, sky blue, ocean blue, snow white, milk white, polar_bear white,
    coal black, night black, raven black, chocolate brown, wood brown, elephant grey, mouse grey, flamingo pink,
    pig pink, eggplant purple, plum purple, sunflower yellow, fire_truck red, ruby red, emerald green, cloud white"""
)
SOUNDS = _pairs(
    """cow moo, dog woof, cat meow, sheep baa, duck quack, pig oink, horse neigh, lion roar, bee buzz, snake hiss,
    frog ribbit, owl hoot, mouse squeak, rooster cock-a-doodle-doo, wolf howl, crow caw, hen cluck, donkey hee-haw,
    turkey gobble, bird tweet"""
)
YOUNG = _pairs(
    """dog puppy, cat kitten, cow calf, sheep lamb, horse foal, duck duckling, goose gosling, pig piglet, goat kid,
    lion cub, bear cub, chicken chick, deer fawn, frog tadpole, kangaroo joey, swan cygnet, rabbit bunny, owl owlet,
    eagle eaglet, wolf pup, seal pup, elephant calf, whale calf"""
)
LEGS = _pairs(
    """spider 8, ant 6, bee 6, dog 4, cat 4, horse 4, bird 2, duck 2, chicken 2, cow 4, fly 6, snake 0, fish 0, pig 4,
    goat 4, beetle 6, elephant 4, lion 4, person 2, worm 0, butterfly 6, octopus 8"""
)


def with_article(noun: str) -> str:
    """a dog, an owl."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _from(table: Mapping[str, str], slot: str) -> Callable[[Random], Item]:
    def draw(rng: Random) -> Item:
        left = rng.choice(tuple(table))
        return Item({slot: left}, table[left])

    return draw


def _opposite(rng: Random) -> Item:
    pairs = [*OPPOSITES.items(), *((b, a) for a, b in OPPOSITES.items() if (a, b) != ("heavy", "light"))]
    word, answer = rng.choice(pairs)
    # "light" is the opposite of both "dark" and "heavy": either is right.
    return Item({"word": word}, answer, accept=("heavy",) if word == "light" else ())


def _colour(rng: Random) -> Item:
    thing = rng.choice(tuple(COLOURS))
    bare = {"grass", "snow", "milk", "coal", "chocolate", "wood"}
    single = {"sky", "ocean", "night"}
    named = thing if thing in bare else f"the {thing}" if thing in single else with_article(thing)
    return Item({"thing": named}, COLOURS[thing])


def _animal(table: Mapping[str, str]) -> Callable[[Random], Item]:
    def draw(rng: Random) -> Item:
        animal = rng.choice(tuple(table))
        return Item({"animal": with_article(animal)}, table[animal])

    return draw


KINDS = (
    Kind(
        "capital", _from(CAPITALS, "country"),
        ("What is the capital of {country}?", "What is the capital city of {country}?",
         "Name the capital of {country}.",
         "Which city is the capital of {country}?", "Tell me the capital of {country}.", "The capital of {country}?",
         "Do you know the capital of {country}?", "{country}: what is its capital?", "What is {country}'s capital?"),
        ("Which city is {country}'s capital?", "Do you know what the capital of {country} is?",
         "Name the capital city of {country}."),
        "The capital of {country} is {answer}.", ("And {country}?", "What about {country}?", "And of {country}?"),
        lexicon=(*CAPITALS.keys(), *CAPITALS.values()), weight=1.8,
    ),
    Kind(
        "opposite", _opposite,
        ("What is the opposite of {word}?", "Give me the opposite of {word}.", "The opposite of {word}?",
         "What word is the opposite of {word}?", "Tell me the opposite of {word}.", "What is the reverse of {word}?",
         "Which word means the opposite of {word}?", "{word}: what is the opposite?"),
        ("Do you know the opposite of {word}?", "Which word is the opposite of {word}?"),
        "The opposite of {word} is {answer}.", ("And of {word}?", "What about {word}?", "And {word}?"), weight=1.7,
    ),
    Kind(
        "colour", _colour,
        ("What colour is {thing}?", "Which colour is {thing}?", "What is the colour of {thing}?",
         "Tell me the colour of {thing}.", "What color is {thing}?", "What colour does {thing} have?",
         "{thing}: what colour?"),
        ("Do you know the colour of {thing}?", "Tell me what colour {thing} is."),
        "It is {answer}.", ("And {thing}?", "What about {thing}?"),
    ),
    Kind(
        "sound", _animal(SOUNDS),
        ("What does {animal} say?", "What sound does {animal} make?", "Which sound does {animal} make?",
         "What noise does {animal} make?", "How does {animal} sound?", "Make the sound of {animal}.",
         "Tell me what {animal} says."),
        ("Which noise does {animal} make?", "Tell me what sound {animal} makes."),
        "It says {answer}.", ("And {animal}?", "What about {animal}?"), weight=0.8,
    ),
    Kind(
        "young_animal", _animal(YOUNG),
        ("What is the young of {animal} called?", "What do you call the baby of {animal}?",
         "What is the baby of {animal} called?", "Name the young of {animal}.",
         "What do we call the young of {animal}?",
         "Tell me the name for the baby of {animal}."),
        ("What do you call the young of {animal}?", "Name the baby of {animal}."),
        "It is called a {answer}.", ("And {animal}?", "What about {animal}?"), weight=0.8,
    ),
    Kind(
        "legs", _animal(LEGS),
        ("How many legs does {animal} have?", "How many legs has {animal}?", "Count the legs of {animal}.",
         "Tell me how many legs {animal} has.", "What number of legs does {animal} have?"),
        ("Do you know how many legs {animal} has?", "What number of legs has {animal}?"),
        "It has {answer} legs.", ("And {animal}?", "What about {animal}?"), weight=0.8,
    ),
)  # fmt: skip
