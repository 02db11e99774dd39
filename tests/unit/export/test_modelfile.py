"""A chat template becomes an Ollama template only where fixed text around messages is proven to say the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.export.modelfile import modelfile, plain_template
from studio.models.tokenizer import ChatTokenizer
from tests.helpers.toy_tokenizers import write_bpe_tokenizer


def _tokenizer(folder: Path, template: str | None = None) -> ChatTokenizer:
    write_bpe_tokenizer(folder)
    (folder / "generation_config.json").write_text('{"eos_token_id": [2]}')
    if template is not None:
        path = folder / "tokenizer_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": template}))
    return ChatTokenizer.load(folder)


def test_chatml_is_written_out(tmp_path: Path) -> None:
    text = modelfile("model-Q4_K_M.gguf", _tokenizer(tmp_path))
    assert "FROM ./model-Q4_K_M.gguf\n" in text
    assert 'PARAMETER stop "<|im_end|>"' in text
    assert '{{ else if eq .Role "user" }}<|im_start|>user\n{{ .Content }}<|im_end|>\n{{ else' in text
    assert text.endswith('{{ end }}{{ end }}<|im_start|>assistant\n"""\n')


def test_a_default_system_message_stands_in_when_there_is_none(tmp_path: Path) -> None:
    template = (
        "{% if messages[0].role != 'system' %}<S>Be good.</S>{% endif %}"
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    plain = plain_template(_tokenizer(tmp_path, template))
    assert plain is not None
    # Where the text around messages is cut does not matter, only that the pieces join to the same.
    assert plain.default_system + plain.around["user"][0] == "<S>Be good.</S><user>"
    assert plain.in_go().startswith("{{ if not .System }}<S>Be good.")


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}<{{ m.role }}>{{ m.content | upper }}{% endfor %}",
        "{% for m in messages %}{{ loop.index }} {{ m.role }}: {{ m.content }}\n{% endfor %}answer: ",
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}{% endfor %}",
        '{% for m in messages %}{{ m.role + \'"""\' + m.content }}{% endfor %}',
    ],
)
def test_what_is_more_than_fixed_text_is_left_to_the_file(tmp_path: Path, template: str) -> None:
    tokenizer = _tokenizer(tmp_path, template)
    assert plain_template(tokenizer) is None
    assert "TEMPLATE" not in modelfile("m.gguf", tokenizer)
