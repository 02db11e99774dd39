"""What each kind of result becomes as a GGUF file: llama.cpp must find the tuned model in it.

One method for each kind: a whole model, one with biases that its base lacks, an adapter that is no LoRA, and so on.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from studio.export.converter import converter_folder
from tests.helpers.small_run import make_run, train_here

pytestmark = pytest.mark.skipif(not converter_folder().is_dir(), reason="the converter is not installed")

KINDS: dict[str, dict[str, Any]] = {
    "whole model": {"key": "lisa", "active_layers": 1, "interval": 3},
    "adapter that is no LoRA": {"key": "miss", "rank": 8},
    "ranks of its own in each layer": {"key": "eva", "rank": 8},
    "stretched context": {"key": "longlora", "rank": 8, "stretch": 4},
    "biases": {"key": "lofit", "share": 0.5, "selection_steps": 3},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_file_verifies(kind: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, method=KINDS[kind])
    train_here(run)
    command = [sys.executable, "-m", "studio", "export", str(run.folder), "--to", "gguf", "--quant", "F16", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (file,) = json.loads(done.stdout)["files"]
    assert file["report"]["passed"] and file["report"]["positions"] > 20, file
