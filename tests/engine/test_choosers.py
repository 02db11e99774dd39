"""Who is trained next: fair where it should be, repeatable, and taken up where it was left."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from studio.engine.choosers import Chooser, Cycle, Draw, Fixed, Halves


def _draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_uniform_draws_are_fair_and_without_putting_back() -> None:
    chooser, draw = Draw(2, 8), _draw()
    drawn = [chooser.choose(draw) for _ in range(4000)]
    assert all(len(set(one)) == 2 and one == sorted(one) for one in drawn)
    counts = Counter(at for one in drawn for at in one)
    assert all(counts[at] == pytest.approx(1000, rel=0.12) for at in range(8))


def test_weights_count_but_leave_nobody_out() -> None:
    chooser, draw = Draw(1, 4), _draw()
    chooser.weights = torch.tensor([0.0, 0.0, 1.0, 3.0])
    counts = Counter(at for _ in range(4000) for at in chooser.choose(draw))
    assert counts[3] > 2 * counts[2] > 8 * counts[0] > 0 and counts[1] > 0


def test_all_of_them_need_no_draw() -> None:
    draw = _draw()
    before = draw.get_state()
    assert Draw(9, 3).choose(draw) == [0, 1, 2]
    assert Fixed([2, 0]).choose(draw) == [0, 2]
    assert torch.equal(draw.get_state(), before)


@pytest.mark.parametrize("order", ["ascending", "descending", "random"])
def test_a_round_gives_everybody_one_turn(order: str) -> None:
    chooser, draw = Cycle(5, order), _draw()
    rounds = [[chooser.choose(draw)[0] for _ in range(5)] for _ in range(4)]
    assert all(sorted(one) == [0, 1, 2, 3, 4] for one in rounds)
    assert (len({tuple(one) for one in rounds}) > 1) == (order == "random")


def test_a_share_of_each_kind() -> None:
    groups, draw = [[0, 1, 2, 3], [4, 5, 6], [7, 8]], _draw()
    drawn = [Halves(groups, 0.5).choose(draw) for _ in range(2000)]
    assert all(sum(at < 4 for at in one) == 2 and sum(at > 6 for at in one) == 1 for one in drawn)
    assert sum(sum(4 <= at <= 6 for at in one) for one in drawn) == pytest.approx(3000, rel=0.05)
    assert all(len(Halves(groups, 0.001).choose(draw)) == 1 for _ in range(20))


@pytest.mark.parametrize(
    "make", [lambda: Draw(2, 6), lambda: Cycle(6, "random"), lambda: Halves([[0, 1], [2, 3]], 0.5)]
)
def test_choices_go_on_where_they_were_left(make: type[Chooser]) -> None:
    one, draw = make(), _draw()
    for _ in range(4):
        one.choose(draw)
    other, again = make(), _draw(1)
    other.load_state(one.state())
    again.set_state(draw.get_state())
    assert [one.choose(draw) for _ in range(8)] == [other.choose(again) for _ in range(8)]
