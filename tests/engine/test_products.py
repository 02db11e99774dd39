"""Large fp32 products by oneDNN: the values and gradients of torch's own, and only where they are meant to be."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from studio.engine import products
from studio.engine.weightless import weightless


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """As on a processor where they are quicker; shapes of the products that oneDNN made."""
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    made: list[tuple[int, ...]] = []
    plain = products._quick

    def noted(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        made.append((*rows.shape, len(weight)))
        return plain(rows, weight, bias)

    monkeypatch.setattr(products, "is_quicker", lambda: True)
    monkeypatch.setattr(products, "_quick", noted)
    monkeypatch.setattr(nn.functional, "linear", products.linear)
    return made


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("is_frozen", [False, True])
def test_values_and_gradients_are_those_of_torch(quick: list[tuple[int, ...]], is_frozen: bool, has_bias: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(512, 1024, bias=has_bias).requires_grad_(not is_frozen)
    given = torch.randn(2, 150, 512, requires_grad=True)
    towards = torch.randn(2, 150, 1024)
    out = layer(given)
    out.backward(towards)
    assert quick == [(2, 150, 512, 1024), (300, 1024, 512)]
    exact = given.detach().double() @ layer.weight.detach().double().T
    exact = exact + layer.bias.detach().double() if has_bias else exact
    torch.testing.assert_close(out.detach().double(), exact, rtol=1e-5, atol=1e-5)
    assert given.grad is not None
    torch.testing.assert_close(
        given.grad.double(), towards.double() @ layer.weight.detach().double(), rtol=1e-5, atol=1e-4
    )
    if is_frozen:
        assert layer.weight.grad is None
        return
    flat, rows = towards.view(-1, 1024), given.detach().view(-1, 512)
    assert torch.equal(layer.weight.grad, flat.T @ rows)  # type: ignore[arg-type]
    assert not has_bias or torch.equal(layer.bias.grad, flat.sum(0))  # type: ignore[arg-type]


def test_small_short_and_weightless_ones_stay(quick: list[tuple[int, ...]]) -> None:
    large = torch.randn(300, 512)
    nn.Linear(512, 8)(large)
    nn.Linear(512, 1024, dtype=torch.bfloat16)(large.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        nn.Linear(512, 1024)(large)
    with weightless():
        assert nn.Linear(512, 1024)(torch.empty(300, 512)).shape == (300, 1024)
    assert quick == []


@pytest.mark.parametrize(
    ("capability", "is_of_intel", "expected"),
    [("AVX512", False, True), ("AVX512", True, False), ("AVX2", False, False), ("DEFAULT", False, False)],
)
def test_the_kind_of_processor_decides(
    capability: str, is_of_intel: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(products, "is_of_intel", lambda: is_of_intel)
    has_both = torch.backends.mkldnn.is_available() and torch.backends.mkl.is_available()
    assert products.is_quicker.__wrapped__() == (expected and has_both)


def test_without_a_gradient_nothing_is_kept(quick: list[tuple[int, ...]]) -> None:
    layer = nn.Linear(512, 1024)
    with torch.no_grad():
        assert layer(torch.randn(300, 512)).grad_fn is None
    assert len(quick) == 1


_LENGTHS = """
import ctypes, sys
import torch
from studio.engine import products
from studio.engine.device import make_accelerator
from tests.bench.sides.memory_peak import anonymous

products.is_quicker = lambda: True  # fp32 by oneDNN
make_accelerator("cpu", sys.argv[1])
kind = torch.bfloat16 if sys.argv[1] == "bf16" else torch.float32
weight = torch.randn(2816, 1024, dtype=kind, requires_grad=True)

def step(rows):
    given = torch.randn(rows, 1024, dtype=kind, requires_grad=True)
    torch.nn.functional.linear(given, weight).sum().backward()

ctypes.CDLL(None).mallopt(-3, 1 << 20)  # what is freed goes
step(400)
before = anonymous()
for rows in range(100, 500, 2):
    step(rows)
ctypes.CDLL(None).malloc_trim(0)
print(anonymous() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measured by what Linux tells")
@pytest.mark.parametrize(("precision", "most"), [("bf16", 250e6), ("fp32", 100e6)])
def test_memory_does_not_grow_with_every_length_of_a_row(precision: str, most: float) -> None:
    """Kernels for 200 lengths: 0.8 GB where a processor has 16-bit products, and 0.26 GB in fp32 by oneDNN."""
    done = subprocess.run([sys.executable, "-c", _LENGTHS, precision], capture_output=True, text=True, check=True)
    assert int(done.stdout) < most
