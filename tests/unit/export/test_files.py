"""Types, shards, forecasts and places of exports: what is decided before any tensor is made."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from studio.errors import UserError
from studio.export.exporting import plan_outputs
from studio.export.quant_types import TYPES, parse_types
from studio.export.shards import _header, split_into_shards
from studio.export.target import TARGETS, Output
from studio.export.verify import NEAR_TIE, Row, _Tally
from studio.project.tuned import Tuned


def test_types_are_read_once_each_and_in_any_case() -> None:
    assert [kind.name for kind in parse_types("q4_k_m, Q8_0,Q8_0")] == ["Q4_K_M", "Q8_0"]
    for text, hint in (("Q4_K_N", "Did you mean"), ("IQ1_S", "importance matrix"), (" , ", "Q4_K_M")):
        with pytest.raises(UserError) as error:
            parse_types(text)
        assert hint in str(error.value)


def test_bounds_loosen_with_fewer_bits() -> None:
    by_bits = sorted((kind for kind in TYPES.values() if "_K" in kind.name), key=lambda kind: kind.bits)
    assert all(a.least_agreement <= b.least_agreement for a, b in itertools.pairwise(by_bits))
    assert all(a.most_kl >= b.most_kl for a, b in itertools.pairwise(by_bits))


def test_shards_hold_to_the_limit_and_keep_order() -> None:
    headers = {f"t{i}": {"dtype": "F32", "shape": [size]} for i, size in enumerate((10, 10, 100, 5, 5))}
    shards = split_into_shards(headers, 100)
    assert [list(shard) for shard in shards] == [["t0", "t1"], ["t2"], ["t3", "t4"]]
    length = struct.unpack("<Q", _header(shards[0])[:8])[0]
    assert length % 8 == 0 and len(_header(shards[0])) == 8 + length


def test_every_target_says_what_it_is() -> None:
    assert set(TARGETS.all()) == {"adapter", "gguf", "gguf_adapter", "merged"}
    assert all(target.title and target.summary.endswith(".") for target in TARGETS.all().values())


def test_a_full_disk_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    usage: Any = type("Usage", (), {"free": 10})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    tuned = _model(tmp_path)
    with pytest.raises(UserError, match="GB are missing") as error:
        plan_outputs(tuned, TARGETS.get("gguf"), parse_types("Q4_K_M,Q8_0"), tmp_path / "out")
    assert [problem.path for problem in error.value.problems] == ["m-Q4_K_M.gguf", "m-Q8_0.gguf"]


def test_outputs_are_named_by_type_or_by_the_person(tmp_path: Path) -> None:
    tuned, target = _model(tmp_path), TARGETS.get("gguf")
    assert _names(plan_outputs(tuned, target, parse_types("Q4_0,F16"), tmp_path)) == ["m-Q4_0.gguf", "m-F16.gguf"]
    assert _names(plan_outputs(tuned, target, parse_types("Q4_0"), tmp_path / "mine.gguf")) == ["mine.gguf"]
    with pytest.raises(UserError, match="is one file"):
        plan_outputs(tuned, target, parse_types("Q4_0,F16"), tmp_path / "mine.gguf")
    (tmp_path / "m-merged").mkdir()
    with pytest.raises(UserError, match="exists already"):
        plan_outputs(tuned, TARGETS.get("merged"), [], tmp_path)


def test_agreement_forgives_ties_and_divergence_counts_only_learned_tokens() -> None:
    ours = np.log(np.array([[0.5, 0.5 - NEAR_TIE / 2, 0.001], [0.8, 0.1, 0.1], [0.8, 0.1, 0.1]], dtype=np.float32))
    theirs = np.log(np.array([[0.4, 0.6, 0.001], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]], dtype=np.float32))
    tally = _Tally()
    tally.add(ours, theirs, Row("x", [0, 1, 2], [False, True, True]))
    assert (tally.positions, tally.agreeing) == (2, 1)
    report = tally.report(Path("f.gguf"), TYPES["Q8_0"], 1, 0.1)
    assert not report.passed and "continues text differently" in report.sentence()
    broken = _Tally()
    broken.add(ours, np.full_like(theirs, np.nan), Row("x", [0, 1, 2], [True, True, True]))
    assert not broken.report(Path("f.gguf"), TYPES["Q2_K"], 1, 0.1).passed


def _model(folder: Path) -> Tuned:
    save_file({"lm_head.weight": np.zeros((8, 8), np.float32)}, folder / "model.safetensors")
    return Tuned("m", folder, "m", None)


def _names(outputs: list[Output]) -> list[str]:
    return [output.path.name for output in outputs]
