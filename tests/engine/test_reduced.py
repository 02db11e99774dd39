"""Stand-ins: gradients do not pile up, steps are what the papers say, entries and state move together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from studio.engine.columns import Columns
from studio.engine.loop import Loop
from studio.engine.low_rank import LowRank, main_directions
from studio.engine.reduction import carry_over
from studio.engine.sparse import Growing, Principal
from tests.helpers.small_run import losses, make_run, result_tensors, train_here

METHODS: dict[str, dict[str, Any]] = {
    "galore": {"key": "galore", "rank": 8, "interval": 5},
    "frugal": {"key": "frugal", "interval": 5},
    "lift": {"key": "lift", "rank": 4, "interval": 5},
    "spiel": {"key": "spiel", "density": 0.1, "interval": 4},
}


def _draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=_draw(seed))


@pytest.mark.parametrize("key", METHODS)
def test_gradients_of_weights_never_pile_up(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than one matrix has its gradient at any moment, and state is kept for stand-ins alone."""
    run = make_run(tmp_path, method=METHODS[key])
    most = []
    accumulate = Loop.accumulate

    def watched(self: Loop, rows: Any, trained: float) -> float:
        parameters = [p for p in self.plan.prepared.model.parameters() if p.requires_grad and p.ndim > 1]
        hooks = [
            p.register_post_accumulate_grad_hook(lambda _: most.append(sum(q.grad is not None for q in parameters)))
            for p in parameters
        ]
        loss = accumulate(self, rows, trained)
        for hook in hooks:
            hook.remove()
        assert all(p.grad is None for p in parameters)
        return loss

    monkeypatch.setattr(Loop, "accumulate", watched)
    train_here(run)
    assert max(most) <= 1


def test_accumulated_gradients_are_those_of_one_batch(tmp_path: Path) -> None:
    settings = {"method": {**METHODS["lift"], "interval": 100}, "steps": 6, "learning_rate": 1e-3}
    large = train_here(make_run(tmp_path, name="large", batch_size=8, **settings))
    small = train_here(make_run(tmp_path, name="small", batch_size=2, accumulation=4, **settings))
    assert losses(small) == pytest.approx(losses(large), abs=1e-4)


def test_frugal_takes_the_mean_of_its_micro_batches_signs(tmp_path: Path) -> None:
    """So no gradient has to wait for the step: as far in one step, whatever the number of micro-batches."""
    from safetensors.torch import load_file

    moved = []
    for accumulation in (1, 4):
        settings = {"batch_size": 2, "accumulation": accumulation, "steps": 1, "learning_rate": 1e-3}
        run = make_run(tmp_path, method={**METHODS["frugal"], "sign_scale": 1.0}, name=f"r{accumulation}", **settings)
        train_here(run)
        before = load_file(tmp_path / "llama" / "model.safetensors")
        step = {name: (tensor - before[name]).abs() for name, tensor in result_tensors(run).items() if "proj" in name}
        moved.append(max(float(tensor.max()) for tensor in step.values()))
    assert moved == pytest.approx([1e-3, 1e-3], rel=0.05)


def test_main_directions_are_those_of_the_svd() -> None:
    exact = _randn(40, 6) @ _randn(6, 30, seed=1) + 0.01 * _randn(40, 30, seed=2)
    found = main_directions(exact, 6, _draw())
    wanted = torch.linalg.svd(exact).U[:, :6]
    assert torch.allclose(found.T @ found, torch.eye(6), atol=1e-5)
    assert torch.linalg.svdvals(wanted.T @ found).min() > 0.9999


@pytest.mark.parametrize("shape", [(20, 50), (50, 20)])
def test_galore_step_is_the_projected_optimizers(shape: tuple[int, int]) -> None:
    """With plain SGD at full rank it is SGD; at rank 3 the step is the gradient's part along three directions."""
    weight, grad = _randn(*shape), _randn(*shape, seed=1)
    for rank in (20, 3):
        unit = LowRank(weight, rank=rank, scale=1.0)
        unit.choose(weight, grad, _draw())
        unit.core.data -= 0.1 * unit.reduce(weight, grad, 0.1, _draw())
        moved = weight.clone()
        unit.apply(moved, 1.0, _draw())
        step = (weight - moved) / 0.1
        assert torch.linalg.matrix_rank(step, atol=1e-4) == rank
        left, sizes, right = torch.linalg.svd(grad, full_matrices=False)
        best = left[:, :rank] * sizes[:rank] @ right[:rank]
        assert (step - best).norm() < (1e-3 if rank == 20 else 0.15) * best.norm()
        assert not unit.core.any()


def test_natural_gradient_is_woodburys() -> None:
    unit = LowRank(torch.zeros(3, 5), rank=3, scale=1.0, history=4)
    past = []
    for seed in range(3):
        grad = _randn(3, 5, seed=seed)
        past.append(grad.flatten())
        unit.core.grad = grad.clone()
        unit.precondition()
    stacked = torch.stack(past) / 3**0.5
    damping = (stacked @ stacked.T).diagonal().mean()
    exact = damping * torch.linalg.solve(damping * torch.eye(15) + stacked.T @ stacked, past[-1])
    assert unit.core.grad is not None
    assert torch.allclose(unit.core.grad.flatten(), exact, atol=1e-4)


def test_frugal_steps_by_sign_outside_its_columns() -> None:
    weight, grad = _randn(4, 10), _randn(4, 10, seed=1)
    unit = Columns(weight, share=0.3, sign_scale=0.5)
    unit.choose(weight, grad, _draw())
    moved = weight.clone()
    core = unit.reduce(moved, grad, 0.1, _draw())
    columns = unit.state()["columns"]
    assert torch.equal(core, grad[:, columns])
    step = (weight - moved) / (0.1 * 0.5)
    others = [at for at in range(10) if at not in columns.tolist()]
    assert torch.allclose(step[:, others], grad.sign()[:, others], atol=1e-5) and not step[:, columns].any()


def test_lift_takes_the_large_entries_of_the_low_rank_part() -> None:
    weight = 10 * _randn(30, 1) @ _randn(1, 20, seed=1) + _randn(30, 20, seed=2)
    unit = Principal(weight, rank=1)
    unit.choose(weight, weight, _draw())
    left, sizes, right = torch.linalg.svd(weight)
    part = (sizes[0] * left[:, :1] @ right[:1]).abs().flatten()
    assert set(unit.state()["index"].tolist()) == set(part.topk(50).indices.tolist())
    assert torch.equal(unit.core.data[0], weight.flatten()[unit.state()["index"]])


def test_spiel_drops_what_did_little_and_puts_it_back() -> None:
    weight = _randn(10, 10)
    original = weight.clone()
    unit = Growing(weight, density=0.1, turnover=0.4)
    grad = _randn(10, 10, seed=1)
    unit.choose(weight, grad, _draw())
    first = unit.state()["index"]
    assert set(first.tolist()) == set(grad.abs().flatten().topk(10).indices.tolist())
    unit.core.data += torch.arange(1.0, 11.0)
    unit.apply(weight, 1.0, _draw())
    remap = unit.choose(weight, _randn(10, 10, seed=3), _draw())
    second = unit.state()["index"]
    assert set(first[4:].tolist()) <= set(second.tolist()) and len(set(second.tolist()) - set(first.tolist())) == 4
    assert torch.equal(weight.flatten()[first[:4]], original.flatten()[first[:4]])
    # State goes along: an entry's state is found at its new place, new entries have none.
    assert remap is not None
    carried = remap(torch.arange(1.0, 11.0)[None])[0]
    known = dict(zip(first.tolist(), range(1, 11), strict=True))
    assert carried.tolist() == [known.get(at, 0) if at not in first[:4].tolist() else 0 for at in second.tolist()]


def test_state_in_eight_bits_goes_and_exact_state_moves() -> None:
    core = nn.Parameter(torch.zeros(1, 4))
    optimizer = torch.optim.AdamW([core])
    optimizer.state[core] = {"step": torch.tensor(3.0), "exp_avg": torch.arange(4.0)[None]}
    carry_over(optimizer, core, lambda old: old.flip(1))
    assert optimizer.state[core]["exp_avg"].tolist() == [[3.0, 2.0, 1.0, 0.0]]
    optimizer.state[core] = {"state1": torch.zeros(1, 4, dtype=torch.uint8)}
    carry_over(optimizer, core, lambda old: old)
    assert core not in optimizer.state


def test_lift_leaves_all_other_entries_alone(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    run = make_run(tmp_path, method={"key": "lift", "rank": 2, "interval": 0})
    train_here(run)
    before = load_file(tmp_path / "llama" / "model.safetensors")
    for name, tensor in result_tensors(run).items():
        moved = int((tensor != before[name]).sum())
        allowed = 2 * sum(tensor.shape) if "proj" in name else 0
        assert moved <= allowed and (moved > 0) == ("proj" in name), name
