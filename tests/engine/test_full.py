"""A model that was trained whole, as it is written."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from studio.engine.full import prepare_full
from studio.engine.prepared import Base
from tests.helpers.toy_models import make_toy


def test_tied_weights_are_written_once_also_where_the_dtype_changes(tmp_path: Path) -> None:
    folder = make_toy(tmp_path / "base", "gemma2", dtype="bfloat16", tie_word_embeddings=True)
    prepared = prepare_full(Base(folder, "base", torch.device("cpu"), "fp32", 0, False))
    prepared.save_weights(tmp_path / "result", True)
    with (
        safe_open(folder / "model.safetensors", "pt") as before,
        safe_open(tmp_path / "result" / "model.safetensors", "pt") as after,
    ):
        assert set(after.keys()) == set(before.keys())
        for name in before.keys():  # noqa: SIM118 - no dictionary
            assert after.get_tensor(name).dtype == torch.bfloat16
            assert after.get_tensor(name).equal(before.get_tensor(name)), name


def test_what_chooses_between_experts_keeps_its_bits(tmp_path: Path) -> None:
    """It is stored in 32 bits beside matrices in 16, and a few of them decide where a token goes."""
    folder = make_toy(tmp_path / "base", "deepseek_v3", dtype="bfloat16")
    tensors = load_file(folder / "model.safetensors")
    chooses = [name for name in tensors if name.endswith("e_score_correction_bias")]
    tensors |= {name: torch.linspace(7.0, 7.001, tensors[name].numel()) for name in chooses}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    prepared = prepare_full(Base(folder, "base", torch.device("cpu"), "fp32", 0, False))
    for is_final in (True, False):
        prepared.save_weights(tmp_path / "saved", is_final)
        found = load_file(tmp_path / "saved" / "model.safetensors")
        assert chooses and all(found[name].equal(tensors[name]) for name in chooses)
        assert found.keys() == tensors.keys()
    assert {str(found[name].dtype) for name in tensors if name not in chooses} == {"torch.float32"}
