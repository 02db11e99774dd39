"""Random token rows, the same for every side of a bench. Only numpy, so that a peer's own environment can run it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def token_rows(rows: int, length: int, vocabulary: int) -> Iterator[Any]:
    """Endless (rows, length) arrays."""
    draw = np.random.default_rng(3)
    while True:
        yield draw.integers(4, vocabulary, (rows, length), dtype=np.int64)
