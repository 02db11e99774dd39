"""Settings in sentences are said by their titles in the window."""

from __future__ import annotations

import pytest

from studio.spec.words import in_words


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("Allow it with train.drive_wear=0.03, or wait.", 'Allow it with "Wear of the drive" = 0.03, or wait.'),
        ("Set data.holdout to 0.05.", 'Set "Held out" to 0.05.'),
        ("or a method.scheme that writes less.", 'or a "Scheme" that writes less.'),
        ("train.packing=true, method.key=lora", '"Packing" = on, "Method" = lora'),
        ("model.safetensors and /home/data.path/train.jsonl are files.",) * 2,
        ("train.nothing=3 is no setting.",) * 2,
    ],
)
def test_a_path_becomes_a_title(sentence: str, words: str) -> None:
    assert in_words(sentence) == words
