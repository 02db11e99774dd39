"""Memory is told from a thread of its own, and never by touching tensors there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from studio.protocol import events
from tests.helpers.small_run import make_run, train_here

_BUSY = """
import faulthandler, sys
faulthandler.enable()
from pathlib import Path
import studio.engine.memory as memory
memory.PERIOD_SECONDS = 0.0002
from tests.helpers.small_run import losses, make_run, train_here
run = make_run(Path(sys.argv[1]), method={"key": "full"}, steps=300, learning_rate=1e-4, eval_every=300)
assert len(losses(train_here(run))) == 300
"""


@pytest.mark.slow
def test_a_busy_sampler_does_not_crash_the_run(tmp_path: Path) -> None:
    """It used to read gradients while autograd freed them: a segmentation fault, rare at one sample a second."""
    done = subprocess.run([sys.executable, "-c", _BUSY, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_kinds_are_where_they_belong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a method trains beside the base is an adapter, trained weights of the base are weights."""
    monkeypatch.setattr("studio.engine.memory.PERIOD_SECONDS", 0.01)
    last = {}
    for key in ("full", "lora", "galore"):
        heard = train_here(make_run(tmp_path, method={"key": key}, name=key))
        last[key] = [event.ram for event in heard if isinstance(event, events.Memory)][-1]
    assert last["full"]["adapter"] == 0 and 0.9 < last["full"]["gradients"] / last["full"]["weights"] <= 1
    assert last["lora"]["adapter"] == last["lora"]["gradients"] > 0
    assert last["galore"]["adapter"] > 0 and last["galore"]["weights"] == last["full"]["weights"]
    assert last["full"]["optimizer"] >= 2 * last["full"]["gradients"]
