"""The update of a streamed scheme on the processor, compiled against torch's passes: `python -m tests.bench.update`.

Prints one JSON line a scheme: billionths of a second a number on one thread, the median of ten tiles whose numbers are
in no cache, and the ratio.
"""

from __future__ import annotations

import json
import statistics
import time
from unittest.mock import patch

import torch

from studio.engine.stream import fused_update
from studio.engine.stream.adamw import Hyper
from studio.engine.stream.schemes import SCHEMES, Scheme, Segment, Tile

COUNT, TILES, WIDTH = 1 << 20, 10, 1 << 10


def main() -> None:
    """All schemes."""
    torch.set_num_threads(1)
    for key in "CDEFI":
        compiled = nanoseconds(SCHEMES[key]())
        with patch.object(fused_update, "library", lambda: None):
            plain = nanoseconds(SCHEMES[key]())
        print(json.dumps({"scheme": key, "compiled": compiled, "torch": plain, "ratio": compiled / plain}))


def nanoseconds(scheme: Scheme) -> float:
    """Of one number's step, in pieces as a run makes them."""
    noise = torch.randint(0, 1 << 16, (COUNT,), dtype=torch.int32)
    piece = scheme.piece(torch.device("cpu")) or COUNT
    tiles = [
        (
            torch.randint(0, 1 << 14, (COUNT,), dtype=torch.int16),
            {part.name: torch.zeros(COUNT // part.every, dtype=getattr(torch, part.dtype)) for part in scheme.parts},
            (torch.randn(COUNT) * 1e-3).bfloat16(),
        )
        for _ in range(TILES)
    ]
    times = []
    for step in (1, 2):  # the first meets fresh memory
        times.clear()
        for weights, record, gradient in tiles:
            begun = time.perf_counter()
            for first in range(0, COUNT, piece):
                end = first + piece
                own = {part.name: record[part.name][first // part.every : end // part.every] for part in scheme.parts}
                shape = piece // WIDTH, WIDTH
                segment = Segment(0, piece, 0.0, lambda a, b, all=gradient[first:end]: all[a:b], 1.0, shape, "w")
                scheme.learn(Tile(weights[first:end], own, [segment], Hyper(step, 1e-4), 0, lambda _, n: noise[:n]))
            times.append((time.perf_counter() - begun) / COUNT * 1e9)
    return statistics.median(times)


if __name__ == "__main__":
    main()
