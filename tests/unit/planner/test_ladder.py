"""What is offered when a run does not fit."""

from __future__ import annotations

from pathlib import Path

from studio.models.facts import read_facts
from studio.planner.forecast import forecast
from studio.planner.ladder import ladder, largest_part
from studio.planner.lengths import RowLengths
from studio.spec.values import set_values
from tests.helpers.toy_models import make_toy
from tests.unit.planner.samples import LLAMA_8B, facts, machine, spec

KNOWN = facts(LLAMA_8B)


def test_each_rung_saves_what_it_says() -> None:
    draft, card = spec(), machine(24 * 10**9)
    before = forecast(draft, KNOWN, card).peak_bytes
    rungs = ladder(draft, KNOWN, card)
    assert len(rungs) >= 5
    for rung in rungs:
        assert before - forecast(set_values(draft, rung.settings), KNOWN, card).peak_bytes == rung.saves_bytes


def test_the_least_harm_comes_first() -> None:
    rungs = ladder(spec("train.batch_size=8"), KNOWN, machine(24 * 10**9))
    assert rungs[0].settings == ("train.batch_size=4", "train.accumulation=2")
    gentle = [rung.is_gentle for rung in rungs]
    assert gentle == sorted(gentle, reverse=True)


def test_rungs_come_in_the_order_of_their_harm() -> None:
    """Pieces, recomputing, rounding, optimizer, 4-bit base, shorter rows, rank, another method."""
    draft = spec("train.batch_size=2", "train.precision=fp32", "method.rank=64", "method.placement=memory")
    paths = [rung.settings[0].partition("=")[0] for rung in ladder(draft, KNOWN, machine(24 * 10**9))]
    assert list(dict.fromkeys(paths)) == [
        "train.batch_size",
        "train.activation_checkpointing",
        "train.precision",
        "optimizer.key",
        "method.key",
        "train.max_length",
        "method.rank",
    ]
    assert paths[-1] == "method.key"


def test_what_saves_no_more_than_a_gentler_rung_is_not_offered() -> None:
    """Paging moves an optimizer's state from a card to RAM, where it is already without one."""
    draft = spec("method.key=full")
    on_card, without = (
        [rung.settings[0] for rung in ladder(draft, KNOWN, computer) if "optimizer" in rung.settings[0]]
        for computer in (machine(24 * 10**9), machine())
    )
    assert on_card == ["optimizer.key=adamw_8bit", "optimizer.key=paged_adamw_8bit"]
    assert without == ["optimizer.key=adamw_8bit"]


def test_a_budget_is_kept_with_the_same_effective_batch() -> None:
    draft, card = spec("train.batch_size=6", "train.accumulation=2"), machine(24 * 10**9)
    taken = ladder(draft, KNOWN, card, budget_bytes=9 * 10**9)
    for rung in taken:
        draft = set_values(draft, rung.settings)
    assert draft.train.batch_size * draft.train.accumulation == 12
    assert forecast(draft, KNOWN, card).peak_bytes <= 9 * 10**9


def test_nothing_is_given_up_for_a_budget_that_is_kept_already() -> None:
    assert ladder(spec(), KNOWN, machine(80 * 10**9), budget_bytes=80 * 10**9) == []


def test_a_budget_nothing_can_keep_ends() -> None:
    assert ladder(spec(), KNOWN, machine(24 * 10**9), budget_bytes=1)


def test_shorter_rows_say_whom_they_cut() -> None:
    rows = RowLengths(100, 500.0, ((0.5, 500), (1.0, 1000)))
    costs = [rung.cost for rung in ladder(spec(), KNOWN, machine(24 * 10**9), rows) if "Rows of" in rung.title]
    assert costs[0] == "What is longer is cut off (50.0 % of the rows)."


def test_parts_of_a_batch() -> None:
    assert [largest_part(size) for size in (2, 3, 4, 6, 7, 12)] == [1, 1, 2, 3, 1, 6]


def test_experts_may_go_without_adapters(tmp_path: Path) -> None:
    known, card = read_facts(make_toy(tmp_path, "qwen3_moe", hidden_size=256, num_experts=64)), machine(24 * 10**9)
    draft, title = spec("method.key=lora", "method.placement=memory"), "No adapters on experts"
    (rung,) = (rung for rung in ladder(draft, known, card) if rung.title == title)
    assert rung.settings == ("method.targets=[k_proj,o_proj,q_proj,v_proj]",)
    beside = set_values(draft, rung.settings)
    saved = forecast(draft, known, card).peak_bytes - forecast(beside, known, card).peak_bytes
    assert saved == rung.saves_bytes
    assert all(rung.title != title for rung in ladder(beside, known, card))
