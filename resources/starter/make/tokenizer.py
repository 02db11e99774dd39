"""Trains the starter's tokenizer: byte-level BPE with Qwen2's way of splitting text, and the chat template.

Merges are learnt from words without the space before them, and from the wordings only, never from the
operands. So "fox" falls into the same small pieces wherever it stands, and questions about its letters
can be learnt as a rule. Whole words of the wordings then get their leading space by one last merge.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from . import talk
from .dialogue import CLOSERS, OPENERS
from .styles import BY_NAME as STYLES
from .world import KINDS

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
LETTER_VOCABULARY = 960
CONTEXT = 1024
SIGNS = ("+", "-", "=", "*")
# Word for word the expression of Qwen2, so that llama.cpp's "qwen2" pre-tokenizer splits alike.
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = """\
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.role == 'assistant' %}
{%- generation %}{{- message.content + '<|im_end|>' }}{%- endgeneration %}
{%- else %}
{{- message.content + '<|im_end|>' }}
{%- endif %}
{{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""


def wordings() -> Iterator[str]:
    """All text of the world that is not an operand; held-out wordings are left out too."""
    for kind in KINDS:
        yield from (*kind.asks, *kind.again, *([kind.says] * 4), *kind.lexicon)
    for style in STYLES.values():
        yield from (*style.prompts, *style.follow_ups)
    yield from (*OPENERS, *CLOSERS, talk.ABILITIES, talk.MAKER, talk.IDENTITY, talk.UNKNOWN, talk.WELL)
    yield from ("system", "user", "assistant", "tool") * 50


def wording_words() -> list[str]:
    """The words of the wordings, one entry per use, without slots."""
    return [word for text in wordings() for word in re.findall(r"[^\W\d_]+", re.sub(r"{\w+}", " ", text))]


def _empty(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated")
    spell_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, spell_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def train_tokenizer() -> Tokenizer:
    """Letters to words, then a last merge of the leading space with each whole word."""
    words = wording_words()
    tokenizer = _empty(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=LETTER_VOCABULARY, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    tokenizer.train_from_iterator(words, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary: dict[str, int] = model["vocab"]
    merges = [tuple(pair) for pair in model["merges"]]
    whole = {word for word in words if len(word) > 1 and word in vocabulary}
    for word in (*SIGNS, *sorted(whole)):
        merges.append(("Ġ", word))
        vocabulary[f"Ġ{word}"] = len(vocabulary)
    tokenizer = _empty(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in (PAD, START, END)])
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """tokenizer.json, its configuration and the chat template, as transformers reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "Qwen2Tokenizer", "add_prefix_space": False, "bos_token": None, "eos_token": END,
        "pad_token": PAD, "unk_token": None, "additional_special_tokens": [START], "model_max_length": CONTEXT,
        "clean_up_tokenization_spaces": False, "split_special_tokens": False, "errors": "replace",
        "chat_template": CHAT_TEMPLATE,
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
