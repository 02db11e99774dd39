"""Our rendering, tokens and marks against transformers' own, template by template."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2.exceptions import TemplateError as TemplateRefused

from studio.data.conversation import Example, Message
from studio.data.encoding import EncodingSettings, encode_example
from studio.models.template import TemplateError
from studio.models.tokenizer import ChatTokenizer
from tests.helpers.templates import STYLES, write_tokenizer

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Tells the <weather> & more: größe",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
CALL = [{"type": "function", "function": {"name": "weather", "arguments": {"city": "Köln"}}}]

PLAIN = [
    {"role": "user", "content": "What is the capital of France? "},
    {"role": "assistant", "content": "Paris.\n\nIt's on the Seine 東京"},
    {"role": "user", "content": "And <b>of</b> 'Spain'?"},
    {"role": "assistant", "content": "Madrid"},
]
CONVERSATIONS = {
    "plain": (PLAIN, []),
    "system": ([{"role": "system", "content": "Be brief."}, *PLAIN], []),
    "tools": (
        [
            {"role": "user", "content": "Weather in Köln?"},
            {"role": "assistant", "content": "", "tool_calls": CALL},
            {"role": "tool", "content": '{"sky": "grey"}', "name": "weather"},
            {"role": "assistant", "content": "Grey."},
        ],
        TOOLS,
    ),
    "reasoning": (
        [
            *PLAIN[:1],
            {"role": "assistant", "content": "Paris", "reasoning_content": "They ask for a capital."},
            *PLAIN[2:],
        ],
        [],
    ),
}


@pytest.fixture(scope="module", params=sorted(STYLES))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp(request.param), request.param)


@pytest.mark.parametrize("name", sorted(CONVERSATIONS))
@pytest.mark.parametrize("cue", [False, True])
def test_renders_and_tokenises_as_transformers_does(folder: Path, name: str, cue: bool) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(folder)
    ours = ChatTokenizer.load(folder)
    messages, tools = CONVERSATIONS[name]
    try:
        text = theirs.apply_chat_template(messages, tools=tools or None, add_generation_prompt=cue, tokenize=False)
    except TemplateRefused:
        # The one thing that we do and transformers does not: a refused system message goes before the question.
        if ours.folds_system and name == "system":
            assert "Be brief." in ours.render(messages).text
        else:
            with pytest.raises(TemplateError):
                ours.render(messages, tools=tools, add_generation_prompt=cue)
        return
    rendered = ours.render(messages, tools=tools, add_generation_prompt=cue)
    assert rendered.text == text
    assert ours.encode(text) == theirs(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("name", ["plain", "system"])
def test_marks_give_the_mask_that_transformers_gives(tmp_path: Path, name: str) -> None:
    from transformers import AutoTokenizer

    folder = write_tokenizer(tmp_path, "chatml")
    theirs = AutoTokenizer.from_pretrained(folder)
    messages, _ = CONVERSATIONS[name]
    wanted = theirs.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    example = Example(messages=tuple(Message(turn["role"], turn["content"]) for turn in messages))
    row = encode_example(example, ChatTokenizer.load(folder), EncodingSettings())
    assert row.ids.tolist() == wanted["input_ids"]
    assert row.trained.astype(int).tolist() == wanted["assistant_masks"]


def test_a_sentencepiece_folder_is_converted_once(tmp_path: Path) -> None:
    from tests.helpers.toy_tokenizers import write_sentencepiece_tokenizer

    write_sentencepiece_tokenizer(tmp_path, dummy_prefix=True)
    wanted = ChatTokenizer.load(tmp_path).encode("The quick brown fox")
    (tmp_path / "tokenizer.json").rename(tmp_path / "kept.json")
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    assert ChatTokenizer.load(tmp_path).decode(ChatTokenizer.load(tmp_path).encode("The quick brown fox")).strip() == (
        "The quick brown fox"
    )
    assert len(wanted) > 0
