"""Bytes that a step is said to read and write, against what its store counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studio.engine.stream import frozen, prepare
from studio.engine.stream.driver import StreamDriver
from studio.engine.stream.frozen import FrozenDriver
from studio.methods import METHODS, _streamed
from studio.models.facts import read_facts
from studio.models.store_layout import PAGE
from studio.planner.wear import bytes_of_a_step
from tests.helpers.small_run import make_run, train_here, write_sums
from tests.helpers.toy_models import make_toy

_SIZES = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 4, "vocab_size": 2048}

Counts = list[tuple[int, int]]


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    """(read, written) as each step begins."""
    found: Counts = []
    for kind in (StreamDriver, FrozenDriver):
        before = kind.before_step

        def noted(driver: Any, number: int, rows: Any, before: Any = before) -> None:
            found.append((driver.store.traffic.counts.read, driver.store.traffic.counts.written))
            before(driver, number, rows)

        monkeypatch.setattr(kind, "before_step", noted)
    return found


def _compare(folder: Path, method: dict[str, Any], found: Counts, *, room: int = 0, **how: Any) -> None:
    """Within 3 % or the pages of some looked-up rows, which is what whole pages take of a model as small as this."""
    dtype, tied, family = how.pop("dtype", "bfloat16"), how.pop("tied", False), how.pop("family", "llama")
    make_toy(folder / family, family, dtype=dtype, tie_word_embeddings=tied, **_SIZES)
    write_sums(folder / "rows.jsonl")
    method = {"cache_gb": room / 1e9, **method}
    run = make_run(folder, method=method, family=family, steps=4, eval_every=99, batch_size=1, **how)
    train_here(run)
    spec, facts = run.spec(), read_facts(folder / family)
    trained = METHODS.get(spec.method.key).estimate(spec.method, facts.shapes)
    read, written = bytes_of_a_step(spec, trained, room, is_bf16=facts.is_bf16)
    (read_before, written_before), (read_after, written_after) = found[2:4]
    assert read_after - read_before == pytest.approx(read, rel=0.03, abs=60 * PAGE)
    assert written_after - written_before == pytest.approx(written, rel=0.03)


@pytest.mark.parametrize(("is_tiled", "tied"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@pytest.mark.parametrize(("scheme", "clipping"), [("C", "exact"), ("F", "layer"), ("I", "layer")])
def test_training_all_of_it(
    scheme: str,
    clipping: str,
    precision: str,
    is_tiled: bool,
    tied: bool,
    tmp_path: Path,
    counts: Counts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if is_tiled:
        _put_in_tiles(monkeypatch)
    method = {"key": "ssd_offload", "scheme": scheme, "clipping": clipping}
    _compare(tmp_path, method, counts, precision=precision, tied=tied)


@pytest.mark.parametrize(("clipping", "precision"), [("exact", "fp32"), ("layer", "bf16")])
def test_training_a_mixture(clipping: str, precision: str, tmp_path: Path, counts: Counts) -> None:
    """Layers that come whole, experts and all."""
    method = {"key": "ssd_offload", "scheme": "D", "clipping": clipping}
    _compare(tmp_path, method, counts, precision=precision, family="qwen3_moe")


@pytest.mark.parametrize("room", [2_400_000, 8_400_000, 40_000_000])
def test_with_some_of_it_in_memory(room: int, tmp_path: Path, counts: Counts) -> None:
    """Two layers; all layers, and the state of one; everything."""
    method = {"key": "ssd_offload", "scheme": "D", "clipping": "layer"}
    _compare(tmp_path, method, counts, room=room, precision="bf16")


@pytest.mark.parametrize("is_tiled", [False, True])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("key", ["lora", "qlora"])
def test_a_base_that_is_only_read(
    key: str, dtype: str, is_tiled: bool, tmp_path: Path, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_tiled:
        _put_in_tiles(monkeypatch)
    _compare(tmp_path, {"key": key, "placement": "drive"}, counts, dtype=dtype, precision="fp32")


def _put_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (_streamed, prepare):
        monkeypatch.setattr(module, "HELD_NUMBERS", 0)
    for module in (frozen, prepare):
        monkeypatch.setattr(module, "TILE", 1 << 17)
