"""The chunked loss against torch's, with a large vocabulary: peak memory, time, gradients.

Run: `python -m tests.bench.loss`. Each contestant runs in a process of its own; peak is the process's high-water mark
above what it had before the first forward.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.sides.memory_peak import most_resident

VOCABULARY, HIDDEN, TOKENS = 128_256, 256, 2048
SIDES = ("ours, frozen head", "torch, frozen head", "ours, trained head", "torch, trained head")


def main() -> None:
    """Run all sides and print."""
    figures = {side: run(side) for side in SIDES}
    table = Table(
        "", "peak MB", "seconds", "peak ratio", "time ratio", title=f"loss of {TOKENS} tokens, V {VOCABULARY:,}"
    )
    for side, found in figures.items():
        peer = figures[side.replace("ours", "torch")]
        ratios = (f"{found['peak'] / peer['peak']:.2f}x", f"{found['seconds'] / peer['seconds']:.2f}x")
        table.add_row(side, f"{found['peak'] / 1e6:,.0f}", f"{found['seconds']:.2f}", *ratios)
    Console().print(table)
    for head in ("frozen head", "trained head"):
        ours, peer = figures[f"ours, {head}"]["sums"], figures[f"torch, {head}"]["sums"]
        gaps = [abs(a - b) / max(abs(b), 1e-12) for a, b in zip(ours, peer, strict=True)]
        Console().print(f"{head}: loss and gradient norms, largest relative difference {max(gaps):.1e}")


def run(side: str) -> dict[str, Any]:
    """One contestant, in a child."""
    done = subprocess.run([sys.executable, "-m", "tests.bench.loss", side], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(side: str) -> None:
    """Forward and backward three times; the first is not timed."""
    import torch
    from torch import nn

    from studio.engine.token_nll import token_nll

    torch.set_num_threads(1)
    torch.manual_seed(0)
    head = nn.Linear(HIDDEN, VOCABULARY, bias=False).requires_grad_("trained" in side)
    hidden = torch.randn(TOKENS, HIDDEN, requires_grad=True)
    targets = torch.randint(0, VOCABULARY, (TOKENS,))
    before, times = most_resident(), []
    for _ in range(3):
        hidden.grad = head.weight.grad = None
        begun = time.perf_counter()
        if side.startswith("ours"):
            loss = token_nll(hidden, head, targets).sum()
        else:
            loss = nn.functional.cross_entropy(head(hidden), targets, reduction="sum")
        loss.backward()
        times.append(time.perf_counter() - begun)
    grads = [g for g in (hidden.grad, head.weight.grad) if g is not None]
    sums = [float(loss.detach()), *(float(g.norm()) for g in grads)]
    print(json.dumps({"peak": most_resident() - before, "seconds": min(times[1:]), "sums": sums}))


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()
