"""A model's tokenizer and template as one object: special and stop tokens, their places, hostile and damaged files."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from studio.errors import UserError
from studio.models.template import ChatTemplate, TemplateError
from studio.models.tokenizer import ChatTokenizer
from tests.helpers.templates import CHATML, STYLES, write_tokenizer

TALK = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]


@pytest.mark.parametrize("style", sorted(STYLES))
def test_the_end_of_an_answer_stops_it(tmp_path: Path, style: str) -> None:
    tokenizer = ChatTokenizer.load(write_tokenizer(tmp_path, style))
    assert tokenizer.token_id(STYLES[style][3]) in tokenizer.stop_ids


def test_the_templates_end_stops_even_where_no_file_names_it(tmp_path: Path) -> None:
    folder = write_tokenizer(tmp_path, "chatml")
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|endoftext|>"}))
    tokenizer = ChatTokenizer.load(folder)
    assert tokenizer.stop_ids == {tokenizer.token_id("<|endoftext|>"), tokenizer.token_id("<|im_end|>")}


def test_ids_that_end_generation_come_from_the_models_files(tmp_path: Path) -> None:
    folder = write_tokenizer(tmp_path, "chatml")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [7, 9]}))
    assert {7, 9} <= ChatTokenizer.load(folder).stop_ids


def test_a_prompt_ends_with_the_cue(tmp_path: Path) -> None:
    tokenizer = ChatTokenizer.load(write_tokenizer(tmp_path, "llama3"))
    ids = tokenizer.encode_prompt(TALK[:1])
    assert tokenizer.decode(ids, skip_special=False) == (
        "<|bos|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    assert ids[0] == tokenizer.bos_id and tokenizer.pad_id == tokenizer.token_id("<|endoftext|>")


def test_templates_are_found_in_all_their_places(tmp_path: Path) -> None:
    folder = write_tokenizer(tmp_path, "chatml")
    (folder / "chat_template.jinja").unlink()
    assert ChatTokenizer.load(folder).template is None
    named = [{"name": "default", "template": "D{{ messages[0].content }}"}, {"name": "tool_use", "template": "T"}]
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    tokenizer = ChatTokenizer.load(folder)
    assert tokenizer.render(TALK).text == "DHi" and tokenizer.render(TALK, tools=[{"name": "f"}]).text == "T"
    (folder / "chat_template.jinja").write_text("J")
    assert ChatTokenizer.load(folder).render(TALK).text == "J"


def test_without_a_template_conversations_are_refused(tmp_path: Path) -> None:
    folder = write_tokenizer(tmp_path, "chatml")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match="has no chat template"):
        ChatTokenizer.load(folder).encode_prompt(TALK[:1])


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("tokenizer.json", "{", "cannot be read"),
        ("tokenizer.json", '{"model": {}}', "cannot be read"),
        ("tokenizer_config.json", "[1]", "should hold a JSON object"),
        ("chat_template.jinja", "{% for m in messages %}", "chat template is damaged: line 1"),
    ],
)
def test_damaged_files_are_said(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    folder = write_tokenizer(tmp_path, "chatml")
    (folder / name).write_text(text)
    with pytest.raises(UserError, match=sentence):
        ChatTokenizer.load(folder)


def test_a_folder_without_a_tokenizer_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no tokenizer"):
        ChatTokenizer.load(tmp_path)


def test_fingerprint_follows_template_and_tokens_and_survives_pickling(tmp_path: Path) -> None:
    tokenizer = ChatTokenizer.load(write_tokenizer(tmp_path, "chatml"))
    assert pickle.loads(pickle.dumps(tokenizer)).fingerprint == tokenizer.fingerprint
    (tmp_path / "chat_template.jinja").write_text(CHATML + " ")
    assert ChatTokenizer.load(tmp_path).fingerprint != tokenizer.fingerprint


def test_marks_inside_a_macro_are_not_trusted() -> None:
    template = ChatTemplate(
        "{% macro say(m) %}{{ m.role }}: {% generation %}{{ m.content }}{% endgeneration %}{% endmacro %}"
        "{% for m in messages %}{{ say(m) }}\n{% endfor %}",
        {},
    )
    rendered = template.render(TALK)
    assert rendered.text == "user: Hi\nassistant: Ho\n" and rendered.generation == ()


@pytest.mark.parametrize(
    "hostile",
    [
        "{{ messages.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ namespace(__class__=1) }}",
        "{% set ns = namespace() %}{% set ns.__class__ = 1 %}",
        "{{ messages.append(1) }}",
        "{{ raise_exception('no') }}",
        "{{ undefined_thing.field.field }}",
        "{{ 1 / 0 }}",
        "{% for i in range(10**9) %}x{% endfor %}",
    ],
)
def test_a_templates_tricks_and_failures_stay_inside(hostile: str) -> None:
    template = ChatTemplate(hostile, {})
    try:
        text = template.render(TALK).text
    except TemplateError as error:
        assert str(error)
    else:
        assert text == ""


def test_loads_no_torch_and_no_transformers(tmp_path: Path) -> None:
    folder = write_tokenizer(tmp_path, "chatml")
    code = (
        "import sys; from pathlib import Path; from studio.models.tokenizer import ChatTokenizer;"
        f"ChatTokenizer.load(Path({str(folder)!r})).encode_prompt([{{'role': 'user', 'content': 'Hi'}}]);"
        "assert not {'torch', 'transformers', 'pyarrow', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
