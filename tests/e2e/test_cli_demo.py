"""The whole journey in one command, on the bundled model: it must learn, keep what it knew, and export what it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_demo_shows_what_it_must(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "studio", "demo", "--dir", "demo"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=1200,
    )
    print(done.stdout[-2500:])
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "The model learned the voice and kept its knowledge." in done.stdout
    assert "The file answers like the tuned model." in done.stdout
    assert len(list((tmp_path / "demo" / "exports").glob("*.gguf"))) == 1
