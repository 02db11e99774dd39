"""The tests of a card, on one made of ordinary memory: what mixes devices or reads a copy too early fails here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.helpers.card import can_be_made

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(torch.cuda.is_available(), reason="tests/card runs on the real one")
@pytest.mark.skipif(not can_be_made(), reason="no compiler for the pretended card")
@pytest.mark.parametrize("part", sorted(path.name for path in (ROOT / "tests" / "card").glob("test_*.py")))
def test_on_a_pretended_card(part: str) -> None:
    pytest_run = ["pytest", "-n0", "-p", "no:cacheprovider", "-W", "ignore", f"tests/card/{part}"]
    command = [sys.executable, "-m", "tests.helpers.card", *pytest_run]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
