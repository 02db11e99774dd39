"""P3: runs that the planner says fit, under a cap that the system enforces: `python -m tests.bench.fits [--trials 40]`.

Each trial draws a method, a length, a batch and a cap near the forecast, and trains two real steps in a process that
may not have more private memory than the cap (RLIMIT_DATA; libraries, which the forecast counts as well, are loaded
before it is set). A run that was said to fit and ran out is a false "fits"; one that was said not to and ran anyway is
told too. Linux only. Exit code 1 for any false "fits".
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import resource
import sys
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from studio.models.facts import ModelFacts, read_facts
from studio.planner.calculation import PROCESS_BYTES
from studio.planner.forecast import Forecast, forecast
from studio.planner.machine import with_budget
from studio.spec.run_spec import RunSpec
from tests.helpers.toy_models import make_toy
from tests.unit.planner.samples import machine, spec

METHODS = ("lora", "qlora", "full", "lisa", "freeze", "badam", "hft", "miss")
LENGTHS, BATCHES, CAPS = (64, 128, 256), (1, 2), (0.90, 1.15)
SIZES = {"hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 4, "vocab_size": 8000}
RAN_OUT, BROKE = 3, 4


@dataclass(frozen=True)
class Trial:
    """One draw. `cap` is in bytes."""

    draft: RunSpec
    said: Forecast
    cap: int

    @property
    def name(self) -> str:
        """For people."""
        train = self.draft.train
        return f"{self.draft.method.key} {train.batch_size}x{train.max_length} {train.precision}"


def main() -> None:
    """Run all trials and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch comes: a pool of threads does not live on in a child
    draw, counts = random.Random(options.seed), Counter[str]()
    with TemporaryDirectory() as folder:
        known = read_facts(make_toy(Path(folder) / "toy", max_position_embeddings=2048, **SIZES))
        _load_libraries(known)
        for _ in range(options.trials):
            trial = draw_trial(draw, known)
            verdict = judge(trial, ran=run(trial, known))
            counts[verdict] += 1
            share = trial.cap / trial.said.peak_bytes
            print(
                f"{trial.name:24} needs {trial.said.peak_bytes / 1e6:7.0f} MB, cap {share:5.0%}: {verdict}", flush=True
            )
    print(json.dumps({"id": "P3", "trials": options.trials, **counts}))
    sys.exit(1 if counts['false "fits"'] else 0)


def draw_trial(draw: random.Random, known: ModelFacts) -> Trial:
    """A draft and a cap around what it is said to need."""
    draft = spec(
        f"method.key={draw.choice(METHODS)}",
        f"train.max_length={draw.choice(LENGTHS)}",
        f"train.batch_size={draw.choice(BATCHES)}",
        f"train.precision={draw.choice(('fp32', 'bf16'))}",
        f"train.activation_checkpointing={draw.choice(('true', 'false'))}",
    )
    cap = int(forecast(draft, known, machine()).peak_bytes * draw.uniform(*CAPS))
    return Trial(draft, forecast(draft, known, with_budget(machine(), cap)), cap)


def judge(trial: Trial, *, ran: bool) -> str:
    """What the planner's word was worth."""
    if trial.said.verdict in ("fits", "tight"):
        return "fits, and ran" if ran else 'false "fits"'
    return "short, but ran" if ran else "short, and ran out"


def run(trial: Trial, known: ModelFacts) -> bool:
    """Whether two steps can be made under the cap, in a child."""
    child = os.fork()
    if not child:
        os._exit(_train(trial, known))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, RAN_OUT) or code < 0, f"{trial.name} ended with {code}"  # a native abort is a way to run out
    return code == 0


def _train(trial: Trial, known: ModelFacts) -> int:
    import torch

    from studio.engine.out_of_memory import is_out_of_memory
    from studio.engine.probe import Probe, measure

    torch.set_num_threads(1)  # makes the child's own pool, before the threads that load a model find none
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - the process is about to end
    ctypes.CDLL(None).malloc_trim(0)  # what the parent's own steps left free is not to be lived on
    limit = _private_bytes() + trial.cap - PROCESS_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    longest = trial.draft.train.max_length
    try:
        measure(Probe(trial.draft, known, trial.said.tokens, longest), "cpu")
    except Exception as error:  # noqa: BLE001 - told by the code
        if is_out_of_memory(error):
            return RAN_OUT
        print(f"{trial.name}: {type(error).__name__}: {error}", flush=True)
        return BROKE
    return 0


def _private_bytes() -> int:
    """What RLIMIT_DATA counts of this process."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmData")).split()[1]) * 1024


def _load_libraries(known: ModelFacts) -> None:
    """All that a step imports, by way of a small one of each kind; children begin with it."""
    import torch

    from studio.engine.probe import Probe, measure

    torch.set_num_threads(1)
    for key in ("lora", "qlora", "full"):
        measure(Probe(spec(f"method.key={key}", "train.max_length=16"), known, 16, 16), "cpu")


if __name__ == "__main__":
    main()
