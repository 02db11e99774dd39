"""Orders and choices that are a pure function of a seed, the same with every version of every library."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]


def random_keys(count: int, *seeds: int) -> U64:
    """(count,) random 64-bit numbers, by the splitmix64 mix of Steele, Lea and Flood (OOPSLA 2014)."""
    state = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        for seed in seeds:
            state = _mix(np.array([state ^ np.uint64(seed & (2**64 - 1))]))[0]
        return _mix(np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + state)


def permutation(count: int, *seeds: int) -> npt.NDArray[np.int64]:
    """A random order of 0..count-1."""
    return np.argsort(random_keys(count, *seeds), kind="stable").astype(np.int64)


def chosen(count: int, wanted: int, seed: int) -> npt.NDArray[np.bool_]:
    """(count,) True at `wanted` randomly chosen places."""
    mask = np.zeros(count, dtype=np.bool_)
    if wanted > 0:
        mask[np.argpartition(random_keys(count, seed), min(wanted, count) - 1)[:wanted]] = True
    return mask


def _mix(value: U64) -> U64:
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
