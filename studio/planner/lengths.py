"""How long a data set's rows are: what decides a batch's memory far more than the longest length allowed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

_MANY = 3.0
"""How many deviations above its mean the fullest of some thousand batches lies."""


@dataclass(frozen=True)
class RowLengths:
    """Lengths of uncut rows in tokens.

    Attributes:
        count: rows.
        mean: of their lengths.
        quantiles: (share of rows, length that they do not exceed), rising, the last one the longest row.
    """

    count: int
    mean: float
    quantiles: tuple[tuple[float, int], ...]

    @classmethod
    def from_percentiles(cls, count: int, mean: float, percentiles: Mapping[int, int]) -> RowLengths:
        """From a data set's figures: percent -> length."""
        return cls(count, mean, tuple((percent / 100, percentiles[percent]) for percent in sorted(percentiles)))

    def longest(self, max_length: int) -> int:
        """Of the rows once they are cut."""
        return min(max_length, self.quantiles[-1][1]) if self.quantiles else max_length

    def cut_mean(self, max_length: int) -> float:
        """Mean length of the rows once they are cut."""
        if not self.quantiles or self.quantiles[-1][1] <= max_length:
            return min(self.mean, max_length)
        whole, cut = self._mean(None), self._mean(max_length)
        return min(float(max_length), self.mean * cut / whole) if whole else float(max_length)

    def share_beyond(self, max_length: int) -> float:
        """Share of rows that are longer."""
        points = ((0.0, 0), *self.quantiles)
        for (low, short), (high, long) in itertools.pairwise(points):
            if long > max_length:
                return 1 - low - (high - low) * max(0, max_length - short) / (long - short)
        return 0.0

    def fullest(self, batch_size: int, max_length: int) -> tuple[int, int]:
        """(tokens of the fullest batch, its longest row): rows are drawn at random, so they are rarely all long."""
        longest, mean = self.longest(max_length), self.cut_mean(max_length)
        if batch_size == 1:
            return longest, longest
        spread = self._deviation(max_length) * math.sqrt(batch_size)
        likely = batch_size * mean + _MANY * spread
        # One row of them may be the longest of all.
        return int(min(batch_size * longest, max(likely, longest + (batch_size - 1) * mean))), longest

    def _mean(self, max_length: int | None) -> float:
        return sum(share * length for share, length in self._pieces(max_length))

    def _deviation(self, max_length: int) -> float:
        mean = self._mean(max_length)
        return math.sqrt(sum(share * (length - mean) ** 2 for share, length in self._pieces(max_length)))

    def _pieces(self, max_length: int | None) -> list[tuple[float, float]]:
        """(share, middle length) between quantiles."""
        points = ((0.0, self.quantiles[0][1] if self.quantiles else 0), *self.quantiles)
        pieces = []
        for (low, short), (high, long) in itertools.pairwise(points):
            middle = (short + long) / 2
            pieces.append((high - low, middle if max_length is None else min(middle, max_length)))
        return pieces
