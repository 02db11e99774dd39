"""Methods with a hand on the loop, on two processes: the losses of one process that sees the same rows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from studio.project.journal import EventReader
from studio.project.launch import start_run
from studio.protocol import events
from tests.helpers.small_run import losses, make_run, train_here

KINDS: dict[str, dict[str, Any]] = {
    "layers": {"key": "lisa", "active_layers": 1, "interval": 2, "sampling": "importance"},
    "stand-ins": {"key": "lift", "rank": 4, "interval": 4},
    "forward only": {"key": "mezo"},
    "streamed base": {"key": "lora", "placement": "drive"},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_equal_one(kind: str, tmp_path: Path) -> None:
    train = {"learning_rate": 1e-3, "steps": 8, "eval_every": 8}
    heard = train_here(make_run(tmp_path, method=KINDS[kind], name="one", accumulation=2, **train))
    two = make_run(tmp_path, method=KINDS[kind], name="two", **train)
    start_run(two, processes=2)
    reader, together = EventReader(two.events_path), []
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and not any(isinstance(e, events.Done | events.Failed) for e in together):
        together += reader.poll()
        time.sleep(0.1)
    assert losses(together) == pytest.approx(losses(heard), abs=1e-4), two.log_path.read_text()[-2000:]
