"""What is learned is exactly the answers and the token that ends each, whatever the template."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.data.conversation import Example, Message, RowError
from studio.data.encoding import EncodingSettings, encode_example
from studio.models.tokenizer import ChatTokenizer
from tests.helpers.templates import STYLES, write_tokenizer

ANSWERS = EncodingSettings("answers")
LAST = EncodingSettings("last_answer")


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ChatTokenizer]:
    base = tmp_path_factory.mktemp("tokenizers")
    return {style: ChatTokenizer.load(write_tokenizer(base / style, style)) for style in STYLES}


def talk(*turns: str, system: str = "") -> Example:
    """Question, answer, question, answer, ..."""
    roles = ("user", "assistant")
    head = (Message("system", system),) if system else ()
    return Example(messages=head + tuple(Message(roles[at % 2], text) for at, text in enumerate(turns)))


def learned(example: Example, tokenizer: ChatTokenizer, how: EncodingSettings = ANSWERS) -> str:
    row = encode_example(example, tokenizer, how)
    return tokenizer.decode(row.ids[row.trained].tolist(), skip_special=False)


@pytest.mark.parametrize("style", sorted(STYLES))
def test_learns_answers_and_their_end(tokenizers: dict[str, ChatTokenizer], style: str) -> None:
    tokenizer = tokenizers[style]
    end = STYLES[style][3]
    text = learned(talk("Hi there?", "Hello.", "Who?", "Me, of course."), tokenizer)
    first, second, nothing = (part.strip() for part in text.split(end))
    assert (first, second.removeprefix("<think>\n\n</think>").strip(), nothing) == ("Hello.", "Me, of course.", "")


@pytest.mark.parametrize("style", sorted(STYLES))
def test_learns_only_the_last_answer(tokenizers: dict[str, ChatTokenizer], style: str) -> None:
    text = learned(talk("Hi there?", "Hello.", "Who?", "Me."), tokenizers[style], LAST)
    assert "Hello" not in text and "Me." in text and text.endswith(STYLES[style][3])


@pytest.mark.parametrize("style", sorted(STYLES))
@given(turns=st.lists(st.text(min_size=1, max_size=30).filter(lambda text: "\n" not in text), min_size=2, max_size=4))
@settings(max_examples=25, deadline=None)
def test_any_text_is_learned_exactly_or_refused(
    tokenizers: dict[str, ChatTokenizer], style: str, turns: list[str]
) -> None:
    tokenizer = tokenizers[style]
    turns = turns[: len(turns) // 2 * 2]
    try:
        text = learned(talk(*turns), tokenizer)
    except RowError:
        return
    end = STYLES[style][3]
    answers = [answer.removeprefix("\n<think>\n\n</think>\n\n") for answer in text.split(end)[:-1]]
    # The tokenizer composes characters (NFC), and the text before an answer may share its first token.
    wanted = [tokenizer.decode(tokenizer.encode(turn.strip())) for turn in turns[1::2]]
    if end not in "".join(turns):
        assert [a.removeprefix("<think>\n\n</think>").strip() for a in answers] == [a.strip() for a in wanted]


def test_reasoning_dropped_in_the_middle_is_still_told_apart(tokenizers: dict[str, ChatTokenizer]) -> None:
    thought = "<think>\nA capital.\n</think>\n\nParis."
    text = learned(talk("Capital?", thought, "And Spain?", "<think>\nHm.\n</think>\n\nMadrid."), tokenizers["qwen3"])
    assert text == "Paris.<|im_end|><think>\nHm.\n</think>\n\nMadrid.<|im_end|>"


def test_a_tool_call_is_learned_and_the_tool_is_not(tokenizers: dict[str, ChatTokenizer]) -> None:
    call = (("tool_calls", [{"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}]),)
    messages = (
        Message("user", "Call f"),
        Message("assistant", "", call),
        Message("tool", "seven"),
        Message("assistant", "It said seven."),
    )
    for style in ("llama3", "mistral"):
        text = learned(Example(messages=messages), tokenizers[style])
        assert '"name": "f"' in text and text.count("seven") == 1


def test_a_conversation_may_end_with_the_user(tokenizers: dict[str, ChatTokenizer]) -> None:
    example = Example(messages=(*talk("Hi", "Hello.").messages, Message("user", "bye")))
    assert learned(example, tokenizers["chatml_plain"]) == "Hello.<|im_end|>"


def test_everything_learns_everything(tokenizers: dict[str, ChatTokenizer]) -> None:
    row = encode_example(talk("Hi", "Hello."), tokenizers["llama3"], EncodingSettings("everything"))
    assert row.trained.all()


def test_plain_text_gets_its_end(tokenizers: dict[str, ChatTokenizer]) -> None:
    tokenizer = tokenizers["llama3"]
    row = encode_example(Example(text="Once upon a time"), tokenizer, ANSWERS)
    assert tokenizer.decode(row.ids.tolist(), skip_special=False) == "Once upon a time<|eot_id|>"


def test_a_system_message_goes_before_the_question_where_the_template_knows_none(
    tokenizers: dict[str, ChatTokenizer],
) -> None:
    tokenizer = tokenizers["gemma"]
    row = encode_example(talk("Hi", "Hello.", system="Be brief."), tokenizer, ANSWERS)
    assert tokenizer.folds_system and "user\nBe brief.\n\nHi" in row.text


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        (Example(messages=(Message("user", "Hi"),)), "no answer"),
        (Example(text="  "), "empty"),
        (talk("Hi", "half \ud800"), "surrogate"),
        (Example(messages=(Message("user", "a"), Message("user", "b"), Message("assistant", "c"))), "must alternate"),
    ],
)
def test_says_why_a_row_cannot_be_used(tokenizers: dict[str, ChatTokenizer], example: Example, reason: str) -> None:
    with pytest.raises(RowError, match=reason):
        encode_example(example, tokenizers["gemma"], ANSWERS)


def test_an_answer_to_nothing_is_refused(tokenizers: dict[str, ChatTokenizer]) -> None:
    with pytest.raises(RowError, match="no question before"):
        encode_example(Example(messages=(Message("assistant", "Hi"),)), tokenizers["chatml_plain"], ANSWERS)


def test_cutting_keeps_one_side_and_refuses_what_loses_its_answer(tokenizers: dict[str, ChatTokenizer]) -> None:
    tokenizer = tokenizers["chatml"]
    example = talk("a long question " * 20, "Short.")
    with pytest.raises(RowError, match="cut at 16, before anything to learn"):
        encode_example(example, tokenizer, EncodingSettings("answers", "end", 16))
    row = encode_example(example, tokenizer, EncodingSettings("answers", "start", 16))
    assert len(row.ids) == 16 and row.num_cut > 0
    assert tokenizer.decode(row.ids[row.trained].tolist(), skip_special=False) == "Short.<|im_end|>"


def test_a_template_that_loses_the_users_text_is_refused(tmp_path: Path) -> None:
    folder = write_tokenizer(tmp_path, "chatml")
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m['role'] }}: {{ m['txt'] }}{% endfor %}")
    with pytest.raises(RowError, match=r"loses its text .* turn 1 \(user\)"):
        encode_example(talk("Hi there", "Hello."), ChatTokenizer.load(folder), ANSWERS)


def test_a_template_that_hides_its_answers_is_refused(tmp_path: Path) -> None:
    folder = write_tokenizer(tmp_path, "chatml")
    every_turn_changes = (
        "{{ messages | length }}{% for m in messages %}{{ m.content ~ messages[-1].content }}{% endfor %}"
    )
    (folder / "chat_template.jinja").write_text(every_turn_changes)
    with pytest.raises(RowError, match="cannot be split for certain"):
        encode_example(talk("Hi there", "Hello.", "Who?", "Me."), ChatTokenizer.load(folder), ANSWERS)
