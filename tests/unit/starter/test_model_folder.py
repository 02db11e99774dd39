"""The model folder as shipped: small enough, whole, and with a tokenizer that loses nothing. No torch."""

import json
import struct
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from resources.starter import check

MODEL = Path(check.__file__).parent / "model"
MOST_BYTES = 16 * 1024 * 1024
FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "README.md",
    "LICENSE",
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(MODEL / "tokenizer.json"))


def test_the_folder_is_whole_and_small() -> None:
    assert [name for name in FILES if not (MODEL / name).is_file()] == []
    assert sum(path.stat().st_size for path in MODEL.rglob("*") if path.is_file()) <= MOST_BYTES


@pytest.mark.parametrize(
    "text", ["Hello, world!", "What is 12 + 34?", "naïve café ☕ 東京", "two\n\nlines\tand  spaces ", "FOX"]
)
def test_the_tokenizer_round_trips(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_digits_are_single_tokens(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("2026").tokens == ["2", "0", "2", "6"]


def test_the_chat_marks_are_single_tokens(tokenizer: Tokenizer) -> None:
    config = json.loads((MODEL / "config.json").read_text(encoding="utf-8"))
    for mark in ("<|im_start|>", "<|im_end|>", "<|endoftext|>"):
        assert len(tokenizer.encode(mark).ids) == 1
    assert config["eos_token_id"] == tokenizer.token_to_id("<|im_end|>")
    assert config["vocab_size"] == tokenizer.get_vocab_size()


def test_widths_fit_blocks_of_256() -> None:
    config = json.loads((MODEL / "config.json").read_text(encoding="utf-8"))
    assert config["hidden_size"] % 256 == 0
    assert config["intermediate_size"] % 256 == 0
    assert config["max_position_embeddings"] >= 512


def test_the_weights_are_16_bit() -> None:
    with (MODEL / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    assert {entry["dtype"] for name, entry in header.items() if name != "__metadata__"} == {"BF16"}


def test_the_template_marks_what_the_assistant_says() -> None:
    template = json.loads((MODEL / "tokenizer_config.json").read_text(encoding="utf-8"))["chat_template"]
    assert "{%- generation %}" in template
    assert "add_generation_prompt" in template
