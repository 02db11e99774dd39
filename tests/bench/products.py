"""Products of linear layers in fp32, oneDNN's against MKL's: `python -m tests.bench.products`.

Forward and towards the input, of layers of the 82M and the 1.03B model, on one thread. Prints one JSON line a shape:
billions of operations a second of each, and the ratio of times; the last says whether training takes oneDNN's here.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch

from studio.engine import products

SHAPES = [(512, 768, 768), (512, 768, 2048), (512, 2048, 768), (512, 2048, 5632), (64, 2048, 5632)]
_REPEATS = 15


def main() -> None:
    """All shapes."""
    torch.set_num_threads(1)
    for rows, inputs, outputs in SHAPES:
        given, weight, towards = torch.randn(rows, inputs), torch.randn(outputs, inputs), torch.randn(rows, outputs)
        pairs = {
            "forward": (partial(products._quick, given, weight), partial(products._plain, given, weight)),
            "back": (partial(products._quick, towards, weight.T), partial(torch.mm, towards, weight)),
        }
        for way, (quick, plain) in pairs.items():
            onednn, mkl = _seconds(quick), _seconds(plain)
            work = 2e-9 * rows * inputs * outputs
            found = {"onednn": work / onednn, "mkl": work / mkl, "ratio": onednn / mkl}
            print(json.dumps({"shape": [rows, inputs, outputs], "way": way, **found}))
    print(json.dumps({"is_taken": products.is_quicker()}))


def _seconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times[2:])


if __name__ == "__main__":
    main()
