"""The rough figure in lists of models stays near the real forecast."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.machine.resources import Gpu, Resources
from studio.models.facts import read_facts
from studio.planner.forecast import forecast
from studio.planner.machine import Machine
from studio.planner.rough import fits_here, least_bytes
from studio.spec.file import parse_spec
from studio.spec.values import set_values
from tests.gui.scenes.method import make_large_model

CARD = Resources((Gpu(0, "card", 12 * 10**9, 11 * 10**9),), 32 * 10**9, 20 * 10**9, 10**12, 10**12, "cpu", 8)
SPEC = set_values(
    parse_spec({"model": {"source": "m"}, "data": {"path": "d"}, "method": {"key": "qlora"}}),
    ["train.batch_size=1", "train.activation_checkpointing=true", "train.max_length=512"],
)


def test_it_is_within_a_quarter_of_the_forecast(tmp_path: Path) -> None:
    facts = read_facts(make_large_model(tmp_path / "model"))
    found = forecast(SPEC, facts, Machine(CARD))
    assert least_bytes(facts.num_parameters) == pytest.approx(found.peak_bytes, rel=0.25)


def test_what_is_not_known_does_not_fit_and_a_card_counts_before_ram() -> None:
    assert not fits_here(0, CARD)
    assert fits_here(8 * 10**9, CARD) and not fits_here(20 * 10**9, CARD)
    without = Resources((), CARD.ram_total, CARD.ram_free, CARD.disk_total, CARD.disk_free, "cpu", 8)
    assert fits_here(20 * 10**9, without)
