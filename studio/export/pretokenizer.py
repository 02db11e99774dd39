"""Which of llama.cpp's ways to split text a tokenizer uses, when its fingerprint is not in the converter's list.

The converter knows tokenizers by a hash of one tokenised text, so that any newly trained vocabulary is unknown to it.
What matters to llama.cpp is only how text is cut before merging; so that is compared, by cutting text with both.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.errors import UserError
from studio.models.facts import read_json

if TYPE_CHECKING:
    from tokenizers.pre_tokenizers import PreTokenizer

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_LETTERS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_START = r"[^\r\n\p{L}\p{N}]?"
_CASED_REST = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_CJK = r"[一-龥぀-ゟ゠-ヿ]+"
_DEEPSEEK = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class Family:
    """One of llama.cpp's pre-tokenizers (src/llama-vocab.cpp, `llm_tokenizer_bpe` and the flags behind it).

    Attributes:
        name: what `tokenizer.ggml.pre` calls it.
        steps: regular expressions that cut text one after the other; "digits" and "punctuation" stand for tokenizers'
            own steps of that name; the byte-level step comes last.
        has_gpt2_regex: whether the byte-level step cuts by GPT-2's regular expression too.
        ignores_merges: whether a piece that is in the vocabulary is taken whole.
    """

    name: str
    steps: tuple[str, ...]
    has_gpt2_regex: bool = False
    ignores_merges: bool = False


_LLAMA3 = f"{_CONTRACTIONS}|{_LETTERS}|\\p{{N}}{{1,3}}|{_REST}"
FAMILIES = (
    Family("qwen2", (f"{_CONTRACTIONS}|{_LETTERS}|\\p{{N}}|{_REST}",)),
    Family("llama-bpe", (_LLAMA3,), ignores_merges=True),
    Family("dbrx", (_LLAMA3,)),
    Family("gpt-2", (), has_gpt2_regex=True),
    Family("smollm", ("digits",), has_gpt2_regex=True),
    Family("qwen35", (
        rf"{_CONTRACTIONS}|{_START}[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    )),
    Family("gpt-4o", (
        f"{_START}{_UPPER}*{_LOWER}+{_CONTRACTIONS}?|{_START}{_UPPER}+{_LOWER}*{_CONTRACTIONS}?"
        rf"|\p{{N}}{{1,3}}|{_CASED_REST}",
    )),
    Family("tekken", (
        rf"{_START}{_UPPER}*{_LOWER}+|{_START}{_UPPER}+{_LOWER}*|\p{{N}}|{_CASED_REST}",
    ), ignores_merges=True),
    Family("deepseek-v3", (r"\p{N}{1,3}", _CJK, _DEEPSEEK)),
    Family("deepseek-coder", (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[一-龥ࠀ-一가-퟿]+", "digits")),
    Family("seed-coder", (
        rf"{_CONTRACTIONS}|{_LETTERS}|\p{{N}}{{1}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+",
    )),
    Family("falcon", ("punctuation", "gpt-2", "[0-9][0-9][0-9]")),
    Family("bloom", (r" ?[^(\s|[.,!?…。，、।۔،])]+",)),
    Family("ufakzeka", (rf"{_LETTERS}|\p{{N}}|{_REST}",)),
)  # fmt: skip

# Each line parts some families from others: digits, contractions, case, marks, scripts, spaces, line ends, symbols.
PROBE = (
    "It's what they'LL say, I'VE said 'so'd; don'T we're O'Neil, Ali'sel kedi'mi.",
    "1 12 123 1234 12345 3.14159 1,000,000 v2.0b3 x86_64 ٣٤٥ Ⅳ ½",
    "camelCaseWord HTTPServer ÄRGER größe CAFÉ iPhone XMLHttpRequest2",
    "  two   spaces\ttab \t mixed\n\nlines \r\n crlf\r\r\n   \n end   ",
    "a/b//c \\ path/to/file.txt /* c */ // note\n/// x.../\n!!! ?? ... -- == => #tag @me <|x|> (a|b)",
    "北京大学。こんにちは、世界！カタカナ 한국어 문장 русский текст ελληνικά עברית العربية",
    "हिन्दी में नमस्ते किताब ภาษาไทย สวัสดี é á ñ Việt Nam ក្រុម",
    "🙂🙃 👩‍👩‍👧 ™ © € $5.00 50% ±3 x²+y₂ …“quoted” —dash– «guillemets»",
    "\u00a0nbsp\u3000wide \u2028sep 'S 'Re `code` ~tilde~ ^caret_under_score",
)


def recognise(folder: Path) -> str:
    """The name of the llama.cpp pre-tokenizer that cuts text as the tokenizer in `folder` does.

    Raises:
        UserError: none does, so a GGUF file would read text differently from the model.
    """
    from tokenizers import Tokenizer  # heavy

    path = folder / "tokenizer.json"
    model = read_json(path, "The model has no tokenizer.json, so its tokenizer cannot be put into a GGUF file.")
    own = Tokenizer.from_file(str(path)).pre_tokenizer
    ignores_merges = bool(model.get("model", {}).get("ignore_merges"))
    found = [family for family in FAMILIES if own is not None and _cuts_alike(own, family)]
    found.sort(key=lambda family: family.ignores_merges != ignores_merges)
    if not found or found[0].ignores_merges != ignores_merges:
        raise UserError(
            "llama.cpp has no way of cutting text that equals this model's tokenizer.",
            "Export a merged model (--to merged) instead, and use a program that reads the tokenizer as it is.",
        )
    return found[0].name


def _cuts_alike(own: PreTokenizer, family: Family) -> bool:
    theirs = _build(family)
    return all(own.pre_tokenize_str(text) == theirs.pre_tokenize_str(text) for text in PROBE)


def _build(family: Family) -> Any:
    """The family as a pre-tokenizer of the tokenizers library."""
    from tokenizers import Regex, pre_tokenizers  # heavy

    named: dict[str, Any] = {
        "digits": lambda: pre_tokenizers.Digits(individual_digits=True),
        "punctuation": lambda: pre_tokenizers.Punctuation(behavior="contiguous"),
        "gpt-2": lambda: pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    }
    steps = [
        named[step]() if step in named else pre_tokenizers.Split(Regex(step), behavior="isolated")
        for step in family.steps
    ]
    if "gpt-2" not in family.steps:
        steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=family.has_gpt2_regex))
    return pre_tokenizers.Sequence(steps)
