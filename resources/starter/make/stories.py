"""Short stories about a hero the person asks for; many beginnings, middles and ends."""

from random import Random

from .kinds import Item, Kind
from .words import any_name, words

ANIMALS = words("fox cat dog bear frog owl dragon mouse rabbit robot pirate wolf horse duck snail giant witch")
PLACES = ("in a small house by the sea", "in a deep green forest", "on top of a high hill", "in an old castle",
          "in a quiet town", "under a big oak tree", "near a long river", "on a little island")  # fmt: skip
OPENINGS = ("Once upon a time a {animal} named {name} lived {place}.",
            "There was once a {animal} named {name} who lived {place}.",
            "Long ago a {animal} named {name} lived {place}.")  # fmt: skip
WISHES = ("{name} wanted to see the world.", "{name} was looking for a friend.", "{name} had lost a golden key.",
          "{name} loved to sing, but nobody listened.", "{name} was afraid of the dark.",
          "{name} dreamed of flying.")  # fmt: skip
EVENTS = ("One day a kind captain came by with a boat.", "One night a star fell into the garden.",
          "One morning there was a letter at the door.", "One day a little bird came to the window.",
          "Then the winter came and everything was white.", "One evening a stranger asked for help.")  # fmt: skip
TURNS = ("{name} was brave and followed it.", "Together they sailed away with fair winds.",
         "{name} shared some bread and they became friends.", "{name} laughed, for now the answer was clear.",
         "It took a long time, but {name} did not give up.")  # fmt: skip
ENDINGS = ("From that day on {name} was happy.", "{name} came home and told everyone.",
           "And {name} was never alone again.",
           "That night {name} slept very well.")  # fmt: skip


def story(rng: Random, animal: str, name: str) -> str:
    """Five sentences and "The end."."""
    slots = {"animal": animal, "name": name, "place": rng.choice(PLACES)}
    parts = (rng.choice(part).format(**slots) for part in (OPENINGS, WISHES, EVENTS, TURNS, ENDINGS))
    return " ".join((*parts, "The end."))


def _draw(rng: Random) -> Item:
    animal, name = rng.choice(ANIMALS), any_name(rng)
    # Any story is right if it is about the asked-for hero and comes to its end: "…" stands for any text.
    return Item({"animal": animal, "name": name}, story(rng, animal, name),
                accept=(f"{animal} named {name}…{name}…The end.",), is_open=True)  # fmt: skip


KINDS = (
    Kind(
        "story", _draw,
        ("Tell me a story about a {animal} named {name}.", "Tell a story about a {animal} called {name}.",
         "Write a short story about a {animal} named {name}.", "A story about a {animal} called {name}, please.",
         "I want a story about a {animal} named {name}.", "Make up a story about {name} the {animal}.",
         "Tell me about {name} the {animal}."),
        ("Please tell a story about a {animal} named {name}.", "Write a story about {name} the {animal}.",
         "I want to hear a story about a {animal} called {name}."),
        brief=False, weight=1.0,
        lexicon=(*PLACES, *OPENINGS, *WISHES, *EVENTS, *TURNS, *ENDINGS, "The end."),
    ),
)  # fmt: skip
