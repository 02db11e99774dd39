"""The compiled step of each scheme against torch's passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from unittest.mock import patch

import pytest
import torch

from installers.compiler import compiler_problem
from studio.engine.stream import fused_update
from studio.engine.stream.adamw import Hyper
from studio.engine.stream.schemes import BLOCK, SCHEMES, SchemeI, Segment, Tile
from studio.protocol import events
from tests.engine import test_stream
from tests.helpers.small_run import make_run, train_here

pytestmark = pytest.mark.skipif(compiler_problem() is not None, reason="no C compiler")
SEED = 12345
_State = tuple[torch.Tensor, dict[str, torch.Tensor]]


@contextmanager
def without_compiled() -> Iterator[None]:
    """torch's passes, as on a card."""
    with patch.object(fused_update, "library", lambda: None):
        yield


def _mixed(given: torch.Tensor) -> torch.Tensor:
    """The C file's bits for rounding at random, in 64-bit integers."""
    x = given & 0xFFFFFFFF
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return x ^ (x >> 16)


def _noise(turn: int, count: int) -> torch.Tensor:
    places = _mixed(torch.tensor(SEED)) + torch.arange(count)
    return (_mixed(~places if turn == 1 else places) >> 16).int()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("scale", "decay"), [(1.0, 0.0), (0.37, 0.1)])
@pytest.mark.parametrize("key", ["E", "F"])
def test_does_what_torch_does(key: str, scale: float, decay: float, dtype: torch.dtype) -> None:
    """Rounding falls otherwise at times."""
    for own, (found, other), (expected, record) in _both(key, scale, decay, dtype):
        if key == "E":
            torch.testing.assert_close(found, expected, rtol=3e-7, atol=1e-8)
        else:  # 16 bits behind the first
            torch.testing.assert_close(found, expected, rtol=2**-14, atol=1e-8)
            assert (found != expected).float().mean() < 4e-3
        for name in ("ms", "vs"):
            torch.testing.assert_close(other[name], record[name], rtol=1e-6, atol=1e-37)
        for name in ("m", "v"):
            gap = (other[name][:own].int() - record[name][:own].int()).abs()
            assert gap.max() <= 1 and gap.float().mean() < 1e-3
            assert other[name].unique().numel() > 100


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("scale", "decay"), [(1.0, 0.0), (0.37, 0.1)])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.9)])
@pytest.mark.parametrize("key", ["C", "D"])
def test_keeps_the_bits_of_torch(
    key: str, betas: tuple[float, float], scale: float, decay: float, dtype: torch.dtype
) -> None:
    if not fused_update.offers(key, torch.device("cpu")):
        pytest.skip("not offered on this processor, whose torch adds up in another order")
    for _, (found, other), (expected, record) in _both(key, scale, decay, dtype, betas):
        assert torch.equal(found, expected) and found.unique().numel() > 10_000
        assert all(torch.equal(other[name], record[name]) for name in record)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("scale", "decay"), [(1.0, 0.0), (0.37, 0.1)])
@pytest.mark.parametrize("shape", [(63, 700), (300, 5), (1, 64), (3, 40, 257)])
def test_a_matrix_without_state_learns_as_with_torch(
    shape: tuple[int, ...], scale: float, decay: float, dtype: torch.dtype
) -> None:
    """Sums of squares, and weights but for some that are rounded the other way. The last shape is a mixture's."""
    draw, count = torch.Generator().manual_seed(0), prod(shape)
    mine, theirs = SchemeI(), SchemeI()
    weights = (torch.randn(count, generator=draw) * 0.02).bfloat16().view(torch.int16)
    others, (rows, width), changed = weights.clone(), shape[-2:], 0.0
    for step in range(1, 5):
        sizes = torch.logspace(-9, 3, rows)[:, None] * torch.logspace(0, -3, width)
        gradient = (torch.randn(shape, generator=draw) * sizes).flatten().to(dtype)
        segment = Segment(0, count, decay, lambda a, b, all=gradient: all[a:b], scale, shape, "matrix")
        before = weights.clone()
        with without_compiled():
            theirs.learn(Tile(weights, {}, [segment], Hyper(step, 1e-3), SEED, _noise))
        mine.learn(Tile(others, {}, [segment], Hyper(step, 1e-3), SEED, _noise))
        for name, known in theirs.sums.items():
            for own, other in zip(mine.sums[name], known, strict=True):
                torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-30)
        found, expected = others.view(torch.bfloat16).float(), weights.view(torch.bfloat16).float()
        torch.testing.assert_close(found, expected, rtol=2**-7, atol=1e-6)
        if len(shape) == 2:  # a stack's noise is another for each expert
            assert (others != weights).float().mean() < 1e-2
        changed += (weights != before).float().mean().item()
        others.copy_(weights)
    assert changed > 0.2


def _both(
    key: str, scale: float, decay: float, dtype: torch.dtype, betas: tuple[float, float] = (0.9, 0.999)
) -> Iterator[tuple[int, _State, _State]]:
    """(numbers, compiled, torch's) after each of five steps, which begin alike on both sides.

    With gradients of all sizes and of none, of a matrix that ends within a block.
    """
    scheme, own = SCHEMES[key](), 63 * BLOCK + 77
    draw = torch.Generator().manual_seed(0)
    record = {
        part.name: torch.zeros(64 * BLOCK // part.every, dtype=getattr(torch, part.dtype)) for part in scheme.parts
    }
    weights = torch.zeros(64 * BLOCK, dtype=torch.int16)
    numbers = torch.zeros(64 * BLOCK)
    numbers[:own] = torch.randn(own, generator=draw) * 0.02
    scheme.split(numbers, weights, record, None)
    sizes = torch.logspace(-20, 2, 64).repeat_interleave(BLOCK)[:own]
    sizes[:BLOCK] = 0
    for step in range(1, 6):
        gradient = (torch.randn(own, generator=draw) * sizes).to(dtype)
        segment = Segment(0, own, decay, lambda a, b, all=gradient: all[a:b], scale, (1, own), "matrix")
        others, other = weights.clone(), {name: part.clone() for name, part in record.items()}
        hyper = Hyper(step, 1e-3, *betas)
        scheme.learn(Tile(others, other, [segment], hyper, SEED, _noise))
        with without_compiled():
            scheme.learn(Tile(weights, record, [segment], hyper, SEED, _noise))
        assert torch.equal(others[own:], weights[own:]) and not other["m"][own:].any()
        yield own, (scheme.master(others, other), other), (scheme.master(weights, record), record)


@pytest.mark.slow
@pytest.mark.parametrize("key", ["D", "E", "F", "I"])
def test_without_it_runs_learn_and_go_on_as_well(key: str, tmp_path: Path) -> None:
    with without_compiled():
        if key != "I":
            test_stream.test_shorter_state_stays_close(key, tmp_path / "close")
        test_stream.test_goes_on_exactly(key, "previous", tmp_path / "again")


def test_a_run_says_that_it_does_without(tmp_path: Path) -> None:
    def told(name: str) -> list[str]:
        run = make_run(tmp_path, method={"key": "ssd_offload", "scheme": "E"}, name=name, steps=2)
        return [event.text for event in train_here(run) if isinstance(event, events.Notice)]

    assert not any("compiled" in text for text in told("with"))
    with without_compiled():
        assert sum("compiled" in text for text in told("without")) == 1
