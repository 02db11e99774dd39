"""A model that was trained whole, as it is written."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open

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
