"""The chunked loss against torch's own, for every kind of head."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from studio.engine import token_nll as module
from studio.engine.token_nll import token_nll


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several chunks even at these sizes."""
    monkeypatch.setattr(module, "CHUNK_BYTES", 4 * 97 * 16)


@pytest.mark.parametrize("softcap", [0.0, 5.0])
@pytest.mark.parametrize("is_head_trained", [False, True])
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize(("is_even", "is_expected_even"), [(True, True), (False, True), (False, False)])
def test_equals_cross_entropy(
    softcap: float, is_head_trained: bool, has_bias: bool, is_even: bool, is_expected_even: bool
) -> None:
    """Also where tokens turn out to weigh otherwise than was expected."""
    torch.manual_seed(0)
    head = nn.Linear(24, 97, bias=has_bias).requires_grad_(is_head_trained)
    hidden = torch.randn(50, 24, requires_grad=True)
    targets, weights = torch.randint(0, 97, (50,)), torch.full((50,), 0.3) if is_even else torch.rand(50)

    ours = token_nll(hidden, head, targets, softcap=softcap, is_even=is_expected_even)
    got = torch.autograd.grad((ours * weights).sum(), [hidden, *[p for p in head.parameters() if p.requires_grad]])
    logits = head(hidden)
    logits = softcap * torch.tanh(logits / softcap) if softcap else logits
    reference = nn.functional.cross_entropy(logits, targets, reduction="none")
    wanted = torch.autograd.grad(
        (reference * weights).sum(), [hidden, *[p for p in head.parameters() if p.requires_grad]]
    )
    torch.testing.assert_close(ours, reference, atol=1e-5, rtol=1e-5)
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_autocast_keeps_the_loss_in_fp32() -> None:
    torch.manual_seed(0)
    head, hidden = nn.Linear(24, 97, bias=False).requires_grad_(False), torch.randn(40, 24, requires_grad=True)
    targets = torch.randint(0, 97, (40,))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        nll = token_nll(hidden, head, targets)
    nll.sum().backward()
    assert nll.dtype == torch.float32 and hidden.grad is not None
    reference = nn.functional.cross_entropy(head(hidden), targets, reduction="none")
    torch.testing.assert_close(nll, reference, atol=5e-2, rtol=5e-2)


@pytest.mark.parametrize("is_even", [False, True])
def test_a_trained_head_under_autocast(is_even: bool) -> None:
    torch.manual_seed(0)
    head, hidden = nn.Linear(24, 97, bias=False), torch.randn(40, 24, requires_grad=True)
    targets = torch.randint(0, 97, (40,))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        nll = token_nll(hidden, head, targets, is_even=is_even)
    got = torch.autograd.grad(nll.mean(), [hidden, head.weight])
    wanted = torch.autograd.grad(nn.functional.cross_entropy(head(hidden), targets), [hidden, head.weight])
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, atol=2e-3, rtol=5e-2)


def test_a_target_that_is_all_but_impossible_has_a_finite_loss() -> None:
    head = nn.Linear(2, 3, bias=False)
    head.weight.data = torch.tensor([[200.0, 0.0], [0.0, 0.0], [-200.0, 0.0]])
    nll = token_nll(torch.tensor([[1.0, 0.0]]), head, torch.tensor([2]))
    assert nll.item() == pytest.approx(400.0)


def test_only_uneven_objectives_are_told_apart() -> None:
    from studio.engine.lm_loss import _weighs_evenly

    assert _weighs_evenly(lambda nll: nll) and not _weighs_evenly(lambda nll: nll * (-nll.detach()).exp())
