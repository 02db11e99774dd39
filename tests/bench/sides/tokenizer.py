"""A word-level tokenizer for peers that insist on one; rows come as ids, so it never tokenises anything."""

from __future__ import annotations

from typing import Any

from tests.bench.fixtures import VOCABULARY


def plain_tokenizer() -> Any:
    """A fast tokenizer over VOCABULARY made-up words."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(WordLevel({f"w{n}": n for n in range(VOCABULARY)}, unk_token="w0"))
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="w1", eos_token="w2", unk_token="w0")
