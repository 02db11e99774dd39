"""Long work goes behind what a person is using; nothing else does."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from studio.engine import device
from studio.machine.priority import NICENESS
from studio.project.jobs import worker_environment
from studio.worker.job import JOBS

_TELL = "import psutil; from studio.machine.priority import give_way; give_way(); give_way();"


@pytest.mark.skipif(sys.platform == "win32", reason="classes instead of numbers")
def test_a_process_that_gives_way_is_nicer_than_its_parent_and_never_less_nice_than_it_was() -> None:
    def niceness(code: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", f"{code} print(psutil.Process().nice())"],
            env=worker_environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return int(done.stdout)

    own = psutil.Process().nice()
    assert niceness(_TELL) == max(NICENESS, own)
    assert niceness(f"import psutil; psutil.Process().nice({NICENESS + 4}); {_TELL}") == max(NICENESS + 4, own)


def test_only_long_work_gives_way() -> None:
    assert {key for key, job in JOBS.all().items() if job.gives_way} == {"export", "import_rows"}


@pytest.mark.parametrize(
    ("name", "has_card", "expected"), [("cpu", True, True), ("auto", True, False), ("auto", False, True)]
)
def test_training_gives_way_where_the_processor_does_it(
    name: str, has_card: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device.torch.cuda, "is_available", lambda: has_card)
    monkeypatch.setattr(device.torch.backends.mps, "is_available", lambda: False)
    assert device.is_processor(name) is expected
