"""Two small real tokenizers: byte-level BPE split as Qwen2's, and sentencepiece BPE as Gemma's and Phi-3's."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

# Marks are for the loss mask; everything between them is what the assistant says, its end token with it.
CHATML = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\\n' -}}"
    "{%- if message['role'] == 'assistant' -%}"
    "{%- generation -%}{{- message['content'] + '<|im_end|>' -}}{%- endgeneration -%}"
    "{%- else -%}{{- message['content'] + '<|im_end|>' -}}{%- endif -%}"
    "{{- '\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)

# Qwen2's own split (tokenizer.json of any Qwen2 model): contractions, words, single digits, marks, line breaks.
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

_CORPUS = [
    "You are a helpful assistant. The quick brown fox jumps over the lazy dog.",
    "What is the capital of France? The capital of France is Paris.",
    "user system assistant: hello there, how are you today? I am fine, thank you.",
    "Count from one to ten: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10.",
    "Größe, café, naïve, 東京, привет; it's, we'll, they've said so.",
] * 20

_END, _START, _STOP = "<|endoftext|>", "<|im_start|>", "<|im_end|>"


def write_bpe_tokenizer(folder: Path, *, vocab_size: int = 480) -> tuple[int, dict[str, int]]:
    """Byte-level BPE trained on a few sentences: tokenizer.json, tokenizer_config.json with a ChatML template.

    Returns:
        Its number of tokens, and the special ids as a config names them.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    specials = [_END, _START, _STOP]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    _write_config(folder, {"eos_token": _STOP, "pad_token": _END})
    ids = {"eos_token_id": tokenizer.token_to_id(_STOP), "pad_token_id": tokenizer.token_to_id(_END)}
    return tokenizer.get_vocab_size(), {**ids, "bos_token_id": tokenizer.token_to_id(_END)}


def write_sentencepiece_tokenizer(folder: Path, *, dummy_prefix: bool) -> tuple[int, dict[str, int]]:
    """Sentencepiece BPE with byte fallback: tokenizer.model and the tokenizer.json that says the same.

    Args:
        folder: where to.
        dummy_prefix: whether text gets a space in front (Phi-3), or not (Gemma).
    """
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(_CORPUS),
        model_writer=model,
        model_type="bpe",
        vocab_size=480,
        byte_fallback=True,
        character_coverage=1.0,
        normalization_rule_name="identity",
        add_dummy_prefix=dummy_prefix,
        remove_extra_whitespaces=False,
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        pad_piece="<pad>",
        user_defined_symbols=[_END, _START, _STOP],  # llama.cpp asks every Phi-3 vocabulary for the first one
        minloglevel=2,
    )
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    _write_equal_fast(folder, processor, dummy_prefix=dummy_prefix)
    stop = processor.PieceToId(_STOP)
    return processor.GetPieceSize(), {"bos_token_id": 2, "eos_token_id": stop, "pad_token_id": 0}


def _write_equal_fast(folder: Path, processor: Any, *, dummy_prefix: bool) -> None:
    """tokenizer.json that splits text as the sentencepiece model does."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

    pieces = [processor.IdToPiece(i) for i in range(processor.GetPieceSize())]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    tokenizer: Any = Tokenizer(
        models.BPE(vocab=vocabulary, merges=_merges(vocabulary), unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    replace = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), replace]) if dummy_prefix else replace
    strip = [decoders.Strip(content=" ", left=1)] if dummy_prefix else []
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    specials = ["<pad>", "</s>", "<s>", "<unk>", _END, _START, _STOP]
    tokenizer.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in specials])
    tokenizer.save(str(folder / "tokenizer.json"))
    added = {
        str(vocabulary[text]): {"content": text, "special": True, "normalized": False, "lstrip": False, "rstrip": False}
        for text in specials
    }
    special_names = {"bos_token": "<s>", "eos_token": _STOP, "pad_token": "<pad>", "unk_token": "<unk>"}
    _write_config(folder, {**special_names, "added_tokens_decoder": added})


def _merges(vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    """The merges that a sentencepiece BPE vocabulary means: its pieces in order of id, each from its known halves."""
    merges = []
    for piece in sorted(vocabulary, key=vocabulary.__getitem__):
        halves = [(piece[:cut], piece[cut:]) for cut in range(1, len(piece))]
        known = [(a, b) for a, b in halves if a in vocabulary and b in vocabulary and "<" not in piece]
        merges += sorted(known, key=lambda pair: (vocabulary[pair[0]], vocabulary[pair[1]]))
    return merges


def _write_config(folder: Path, extra: dict[str, Any]) -> None:
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512, "chat_template": CHATML, **extra}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
