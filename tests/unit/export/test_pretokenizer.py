"""Unknown tokenizers are recognised by how they cut text, and refused when llama.cpp cannot cut as they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from studio.errors import UserError
from studio.export.pretokenizer import FAMILIES, Family, _build, recognise
from tests.helpers.toy_tokenizers import write_bpe_tokenizer


def _save(folder: Path, pre_tokenizer: Any, *, ignore_merges: bool = False) -> Path:
    tokenizer: Any = Tokenizer(models.BPE(vocab={"a": 0}, merges=[], ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_each_family_is_told_from_all_others(tmp_path: Path, family: Family) -> None:
    assert recognise(_save(tmp_path, _build(family), ignore_merges=family.ignores_merges)) == family.name


def test_the_same_cut_written_differently_is_recognised(tmp_path: Path) -> None:
    spelled_out = (
        r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    steps = [
        pre_tokenizers.Split(Regex(spelled_out), behavior="removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
    assert recognise(_save(tmp_path, pre_tokenizers.Sequence(steps))) == "qwen2"


def test_a_freshly_trained_vocabulary_is_recognised(tmp_path: Path) -> None:
    write_bpe_tokenizer(tmp_path)
    assert recognise(tmp_path) == "qwen2"


@pytest.mark.parametrize(
    "cut", [pre_tokenizers.Whitespace(), pre_tokenizers.Metaspace(), pre_tokenizers.ByteLevel(add_prefix_space=True)]
)
def test_a_cut_that_llama_cpp_does_not_know_is_refused(tmp_path: Path, cut: Any) -> None:
    with pytest.raises(UserError, match="no way of cutting"):
        recognise(_save(tmp_path, cut))


def test_a_model_without_tokenizer_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no tokenizer\.json"):
        recognise(tmp_path)
