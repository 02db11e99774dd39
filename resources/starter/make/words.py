"""Plain words, names and invented words that the other files draw from."""

from random import Random


def words(text: str) -> tuple[str, ...]:
    """A text's words, so that long lists can be written as prose."""
    return tuple(text.split())


NOUNS = words("""apple arm army axe bag ball band bank barn basket bath beach bean bear bed bee bell belt bench berry
    bird
    blanket boat bone book boot bottle bowl box boy branch bread brick bridge broom brush bucket bug bus bush button
    cabin cage cake camel camp candle cap car card carpet carrot cart castle cat cave chain chair chalk cheese cherry
    chest chin circle circus city clock cloud clown coat coin comb cook corn couch cow crab crayon crow crown cup
    curtain dance deer desk dish doctor dog doll donkey door dragon drawer dress drum duck ear egg elbow engine eye
    face fan farm farmer feather fence field finger fire fish flag flame floor flower flute fly forest fork fox frog
    fruit garden gate ghost gift giraffe glove goat gold grape grass guitar hair hammer hand hat hawk heart hen hill
    honey hook horn horse hotel house ink insect island jacket jar jelly jewel judge jug juice kettle key king kite
    kitten knee knot ladder lake lamp leg lemon letter lily lion lip lizard lock log map mask meal melon milk mirror
    monkey moon mop mountain mouth mud mug nail neck needle nest net night nose nut oak ocean onion orange oven owl
    page paint pan panda paper park parrot pea peach pear pen pencil pig pillow pin pirate plane plant plate plum
    pocket poem pond pony potato prince pump puppet queen rabbit rain rake rat ribbon ring river road robot rocket
    roof room root rope rose rug sail salt sand scarf school sea seed shed shell ship shirt shoe shop sister sky
    sled snail snake soap sock soup spider spoon spot spring star stick stone stove straw street sugar suit sun
    swan table tail tent tiger toad toe tomato tool tower town toy train tray tree truck tub tulip turtle uncle van
    vase vest violin wagon wall watch water wave web whale wheel whistle wing winter wolf wood worm yard zebra zoo""")

NAMES = words("""Ada Adam Alba Alex Alice Amir Amy Ana Anna Anton Ari Arthur Ben Bella Bob Boris Carla Carlos Clara
    Cleo Dan
    Dana Daniel David Dora Eli Ella Elsa Emil Emma Eric Eva Felix Finn Frank Fred George Gina Grace Greta Hana Hans
    Harry Helen Hugo Ida Igor Iris Ivan Jack James Jane Jim John Jonas Julia Kai Karl Kate Kim Lara Lea Leo Lily
    Lina Lisa Lola Lucas Lucy Luke Luna Mara Maria Mark Marta Mary Max Maya Mia Mila Milo Mira Nadia Nick Nina Noah
    Nora Olga Oscar Otto Pablo Paul Peter Pia Rita Robin Rosa Ruth Sam Sara Sofia Tara Theo Tim Tina Tom Uma Vera
    Viktor Wanda Will Yara Zoe""")

ONSETS = words("b c d f g h j k l m n p r s t v w z bl br cl cr dr fl fr gl gr pl pr sl sn st tr ch sh th")
RIMES = words("""a e i o u ab ack ad ag all am an ank ap ar ard at ed eed ell en ent er est et ib ick id ig ill im in
    ing ink
    ip ist it ob ock og on ond ong op or ot ub uck ud ug um un ung up ush ut""")


def invented_word(rng: Random) -> str:
    """A pronounceable word of one to three syllables that no dictionary has to know."""
    syllables = rng.choices((1, 2, 3), (3, 4, 1))[0]
    return "".join(rng.choice(ONSETS) + rng.choice(RIMES) for _ in range(syllables))


def any_word(rng: Random) -> str:
    """A noun, or an invented word of 3 to 9 letters (so that spelling rules are learnt, not words)."""
    word = rng.choice(NOUNS) if rng.random() < 0.6 else invented_word(rng)
    return word if 2 < len(word) < 10 else rng.choice(NOUNS)


def any_name(rng: Random) -> str:
    """A first name, or an invented one."""
    return rng.choice(NAMES) if rng.random() < 0.6 else invented_word(rng).capitalize()
