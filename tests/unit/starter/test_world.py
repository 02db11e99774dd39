"""The generator: seeded, true to its hold-out, and obeying its own styles. No torch."""

from random import Random

from resources.starter.make.dialogue import chat
from resources.starter.make.kinds import HELD_OUT_SHARE, draw_item, is_held_out
from resources.starter.make.questions import held_out_questions
from resources.starter.make.spelling import plural_of, spelled
from resources.starter.make.styles import BY_NAME as STYLES
from resources.starter.make.world import BY_NAME, KINDS

CHATS = 4000


def chats(seed: int, count: int) -> list[list[dict[str, str]]]:
    rng = Random(seed)
    return [chat(rng) for _ in range(count)]


def test_the_same_seed_gives_the_same_corpus() -> None:
    assert chats(3, 300) == chats(3, 300)
    assert chats(3, 300) != chats(4, 300)


def test_roles_alternate_and_the_assistant_has_the_last_word() -> None:
    for messages in chats(5, 500):
        spoken = [message["role"] for message in messages if message["role"] != "system"]
        assert spoken == ["user", "assistant"] * (len(spoken) // 2)


def test_the_corpus_never_asks_a_held_out_question_first() -> None:
    """A first question is the whole text the model sees, so its words alone decide."""
    held_out = {one.messages[0]["content"] for one in held_out_questions(seed=11, per_way=20)}
    asked = {next(m["content"] for m in messages if m["role"] == "user") for messages in chats(6, CHATS)}
    assert not held_out & asked


def test_unseen_wordings_are_no_trained_wordings() -> None:
    for kind in KINDS:
        assert kind.asks
        assert kind.unseen
        assert not set(kind.asks) & set(kind.unseen)
    for style in STYLES.values():
        assert not set(style.prompts) & set(style.unseen)


def test_about_a_tenth_of_open_operands_is_held_out() -> None:
    kind, rng = BY_NAME["add"], Random(1)
    held = sum(is_held_out(kind, kind.draw(rng)) for _ in range(3000)) / 3000
    assert abs(held - HELD_OUT_SHARE) < 0.03


def test_the_sums_are_right() -> None:
    rng = Random(2)
    for _ in range(200):
        add, subtract = draw_item(BY_NAME["add"], rng), draw_item(BY_NAME["subtract"], rng)
        assert int(add.answer) == int(add.slots["a"]) + int(add.slots["b"])
        assert int(subtract.answer) == int(subtract.slots["a"]) - int(subtract.slots["b"])


def test_sorting_really_sorts() -> None:
    rng = Random(2)
    for _ in range(100):
        numbers = [int(n) for n in draw_item(BY_NAME["sort_numbers"], rng).answer.split(", ")]
        assert numbers == sorted(numbers)


def test_plurals_and_spelling_follow_the_school_rules() -> None:
    assert [plural_of(noun) for noun in ("cat", "box", "berry", "boy", "mouse")] == [
        "cats",
        "boxes",
        "berries",
        "boys",
        "mice",
    ]
    assert spelled("cat") == "c-a-t"


def test_styles_change_only_the_form() -> None:
    forms = {name: style.apply("Paris", "The capital of France is Paris.") for name, style in STYLES.items()}
    assert forms == {
        "plain": "The capital of France is Paris.",
        "brief": "Paris",
        "sentence": "The capital of France is Paris.",
        "capitals": "PARIS",
        "exclaimed": "The capital of France is Paris!",
        "bracketed": "[Paris]",
        "polite": "Of course. The capital of France is Paris.",
    }
