"""P4: how long the planner takes to answer, in a process that has no torch: `python -m tests.bench.planner`.

A form asks for every method each time that something is typed. Models are published shapes, the card is one of 24 GB.
Beside the time on the clock stands the processor's, which other programs lengthen less; exit code 1 where that is
beyond 50 ms, or with torch loaded.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from studio.methods import METHODS
from studio.models.facts import ModelFacts
from studio.planner.forecast import forecast_all
from studio.planner.ladder import ladder
from tests.unit.planner.samples import LLAMA2_7B, LLAMA_3B, LLAMA_8B, facts, machine, spec

LENGTHS = (512, 1024, 2048, 4096, 8192)
MOST, ROUNDS = 0.050, 40
Taken = tuple[float, float]  # median seconds on the clock and of the processor
_FIRST = """
import sys, time
from tests.unit.planner.samples import LLAMA_8B, facts, machine, spec
from studio.planner.forecast import forecast_all
draft, known, card = spec(), facts(LLAMA_8B), machine(24 * 10**9)
begun = time.process_time()
forecast_all(draft, known, card)
print(time.process_time() - begun, "torch" in sys.modules)
"""


def main() -> None:
    """Time each question and print one JSON line a figure."""
    said = subprocess.run([sys.executable, "-c", _FIRST], capture_output=True, text=True, check=True).stdout.split()
    first, has_torch = float(said[0]), said[1] == "True"
    figures = dict[str, Taken]()
    for name, config in {"3B": LLAMA_3B, "7B": LLAMA2_7B, "8B": LLAMA_8B}.items():
        figures |= {f"{name}, {what}": taken for what, taken in _ask(facts(config)).items()}
    print(f"the first time, files of methods loaded: {first * 1e3:.1f} ms of the processor")
    for name, (clock, processor) in figures.items():
        print(f"{name:36} {clock * 1e3:6.1f} ms, of the processor {processor * 1e3:6.1f} ms")
    asked = [taken for name, taken in figures.items() if name.endswith("all methods")]
    clock, processor = max(taken[0] for taken in asked), max(taken[1] for taken in asked)
    has_torch = has_torch or "torch" in sys.modules
    found = {"ms": round(clock * 1e3, 1), "processor ms": round(processor * 1e3, 1), "torch": has_torch}
    print(json.dumps({"id": "P4", "methods": len(METHODS.all()), **found}))
    sys.exit(1 if processor > MOST or has_torch else 0)


def _ask(known: ModelFacts) -> dict[str, Taken]:
    """Question -> what it takes, for one model."""
    card = machine(24 * 10**9)
    drafts = [spec(f"train.max_length={length}") for length in LENGTHS]
    return {
        "all methods": _middle(lambda: forecast_all(drafts[0], known, card)),
        f"all methods x {len(LENGTHS)} lengths": _middle(lambda: [forecast_all(one, known, card) for one in drafts]),
        "the ladder": _middle(lambda: ladder(drafts[0], known, card)),
    }


def _middle(ask: Callable[[], object]) -> Taken:
    clock, processor = [], []
    for _ in range(ROUNDS):
        begun, busy = time.perf_counter(), time.process_time()
        ask()
        clock.append(time.perf_counter() - begun)
        processor.append(time.process_time() - busy)
    return statistics.median(clock), statistics.median(processor)


if __name__ == "__main__":
    main()
