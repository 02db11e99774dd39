"""Schemes of a streamed number against their papers' plain arithmetic."""

from __future__ import annotations

import pytest
import torch

from studio.engine.stream import schemes
from studio.engine.stream.adamw import Hyper
from studio.engine.stream.schemes import SchemeI, Segment, Tile


def _adalomo(weight: torch.Tensor, gradients: list[torch.Tensor], *, rate: float, decay: float) -> torch.Tensor:
    """Steps of AdaLomo (arXiv 2310.10195, algorithm 1) on a whole matrix, its update's size limited to 1."""
    rows, columns = torch.zeros(weight.shape[0]), torch.zeros(weight.shape[1])
    for step, gradient in enumerate(gradients, start=1):
        memory = 1 - step**-0.8
        square = gradient.double().square()
        rows, columns = (memory * old + (1 - memory) * square.mean(way) for old, way in ((rows, 1), (columns, 0)))
        direction = gradient / (torch.outer(rows, columns) / rows.mean() + 1e-30).sqrt()
        direction = direction / direction.square().mean().sqrt().clamp_min(1.0)
        weight = (1 - rate * decay) * weight - rate * direction
    return weight


@pytest.mark.parametrize("piece", [1, 100, 1 << 17])  # one row at a time, some, all
def test_adalomo_a_few_rows_at_a_time_is_adalomo(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemes, "CACHED", piece)
    torch.manual_seed(0)
    begin = torch.randn(2, 24, 16).bfloat16()
    gradients = [torch.randn(2, 24, 16) * torch.rand(2, 24, 1) for _ in range(3)]
    weights, scheme = begin.view(torch.int16).flatten().clone(), SchemeI()
    for step, gradient in enumerate(gradients, start=1):
        flat = [part.flatten() for part in gradient]
        segments = [
            Segment(384 * at, 384 * at + 384, 0.1, lambda a, b, own=own: own[a:b].clone(), 1.0, (24, 16), str(at))
            for at, own in enumerate(flat)
        ]
        noise = torch.full((768,), 1 << 15, dtype=torch.int32)  # halves up: no chance
        scheme.learn(Tile(weights, {}, segments, Hyper(step, 0.05), 0, lambda turn, count, all=noise: all[:count]))
    for at in range(2):
        exact = _adalomo(begin[at].double(), [each[at].double() for each in gradients], rate=0.05, decay=0.1)
        found = weights.view(torch.bfloat16)[384 * at : 384 * at + 384].view(24, 16)
        torch.testing.assert_close(found.double(), exact, rtol=1e-2, atol=1e-2)  # bf16, three times rounded
        assert not torch.allclose(begin[at].double(), exact, rtol=1e-2, atol=1e-2)


def test_small_second_memories_keep_their_size_in_8_bits() -> None:
    """Of gradients of 1e-15, and of none: dividing by a block's largest number must not run over."""
    sizes = torch.tensor([0.0, 1e-31, 1e-20, 1e-6])
    second = sizes.repeat_interleave(schemes.BLOCK) * torch.rand(4 * schemes.BLOCK).add(0.5)
    second[schemes.BLOCK + 1] = 0
    expected = second.clone()
    _, found = _kept_in_8_bits(torch.zeros(len(second)), second)
    assert not found[: schemes.BLOCK].any()
    assert found[schemes.BLOCK + 1] < 1e-31 / 255**3
    torch.testing.assert_close(found[expected > 0], expected[expected > 0], rtol=0.02, atol=0)


def test_first_memories_keep_sign_and_size_in_8_bits() -> None:
    """To half a step of their roots; a block of zeros stays one."""
    sizes = torch.tensor([0.0, 1e-31, 1e-20, 1.0])
    first = sizes.repeat_interleave(schemes.BLOCK) * torch.randn(4 * schemes.BLOCK)
    expected, most = first.clone(), first.view(4, -1).abs().amax(1).repeat_interleave(schemes.BLOCK)
    found, _ = _kept_in_8_bits(first, torch.zeros(len(first)))
    assert not found[: schemes.BLOCK].any()
    assert torch.all(found * expected >= 0)
    roots = (found.abs().sqrt() - expected.abs().sqrt()).abs() * 127 / most.clamp_min(1e-38).sqrt()
    assert roots.max() < 0.501
    assert torch.equal(found.view(4, -1).abs().amax(1), most[:: schemes.BLOCK])


def _kept_in_8_bits(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both memories of four blocks, written by scheme E and read again."""
    count = len(first)
    record = {
        "r": torch.zeros(count, dtype=torch.int16),
        "m": torch.zeros(count, dtype=torch.int8),
        "v": torch.zeros(count, dtype=torch.uint8),
        "ms": torch.zeros(4),
        "vs": torch.zeros(4),
    }
    scheme, noise = schemes.SchemeE(), torch.full((count,), 1 << 15, dtype=torch.int32)
    weights = torch.zeros(count, dtype=torch.int16)
    tile = Tile(weights, record, [], Hyper(1, 1e-4), 0, lambda turn, numbers: noise[:numbers])
    scheme.keep(tile, torch.zeros(count), first, second)
    return scheme.first(record).clone(), scheme.second(record)
