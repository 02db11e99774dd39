"""Settings in sentences are said by their titles in the window."""

from __future__ import annotations

import pytest

from studio.project.run_rows import setting_words
from studio.spec.run_spec import RunSpec
from studio.spec.words import in_words, title_of


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


def test_a_setting_is_called_by_its_title_wherever_it_stands() -> None:
    train = RunSpec.model_fields["train"].annotation
    assert train is not None
    declared = train.model_fields["activation_checkpointing"].title
    assert title_of("train.activation_checkpointing") == declared
    assert setting_words("train.activation_checkpointing", True) == declared[0].lower() + declared[1:]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("method.rank", 16, "rank 16"),
        ("train.learning_rate", 1.5e-4, "learning rate 1.5e-4"),
        ("train.packing", False, "packing off"),
        ("train.neftune_alpha", 5.0, "NEFTune noise 5"),
        ("method.key", "lora", "lora"),
        ("train.steps", None, ""),
        ("data.columns.prompt", "question", "prompt question"),
        ("version", 1, "version 1"),
    ],
)
def test_a_setting_in_few_words(path: str, value: object, words: str) -> None:
    assert setting_words(path, value) == words
