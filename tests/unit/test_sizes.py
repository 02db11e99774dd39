"""Amounts are written one way everywhere: sizes, numbers, and things that are counted."""

from __future__ import annotations

import pytest

from studio.sizes import counted, human_bytes, human_number


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 GB"),
        (512, "512 B"),
        (158_000, "158 kB"),
        (3.2e6, "3.2 MB"),
        (48e6, "48 MB"),
        (850e6, "0.85 GB"),
        (999e6, "1.0 GB"),
        (7.8e9, "7.8 GB"),
        (19.96e9, "20 GB"),
        (68.2e9, "68 GB"),
        (476e9, "476 GB"),
        (999.9e9, "1.0 TB"),
        (48e12, "48 TB"),
        (-5.9e9, "-5.9 GB"),
    ],
)
def test_a_size_has_one_figure_behind_the_point_below_twenty(size: float, words: str) -> None:
    assert human_bytes(size) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0"), (0.02, "0.02"), (2e-5, "2e-5"), (0.00015, "1.5e-4"), (1.25, "1.25"), (5e6, "5e6"), (-3e-7, "-3e-7")],
)
def test_a_number_is_short_and_can_be_read_back(value: float, words: str) -> None:
    assert human_number(value) == words and float(words) == value


def test_as_many_digits_as_are_asked_for_are_kept() -> None:
    assert human_number(1.23456789e-5, 10) == "1.23456789e-5"


def test_one_thing_is_not_several() -> None:
    assert [counted(number, "row") for number in (0, 1, 2, 4126)] == ["0 rows", "1 row", "2 rows", "4,126 rows"]
    assert counted(0.5, "epoch") == "0.5 epochs"
