"""What every method's result becomes as a GGUF file: llama.cpp must find the tuned model in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.export.converter import converter_folder
from studio.methods import METHODS
from studio.protocol import events
from studio.worker.job import Context
from studio.worker.jobs import export
from tests.helpers.method_cases import make_case
from tests.helpers.small_run import train_here

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not converter_folder().is_dir(), reason="the converter is not installed"),
]


@pytest.mark.parametrize("case", [*METHODS.all(), "bone", "freeze-head", "longlora-stretched"])
def test_file_verifies(case: str, tmp_path: Path) -> None:
    """Tokens and probabilities on held-out rows are those of the tuned model."""
    run, heard = make_case(tmp_path, case), list[events.Event]()
    train_here(run)
    export.run(Context(emit=heard.append), {"source": str(run.folder), "to": "gguf", "quant": "F16"})
    (file,) = [event for event in heard if isinstance(event, events.Result)][-1].value["files"]
    assert file["report"]["passed"] and file["report"]["positions"] > 20, file["report"]["sentence"]
