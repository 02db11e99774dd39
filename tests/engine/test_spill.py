"""Silent spill into system memory is noticed once, and only when it is one."""

from __future__ import annotations

from studio.engine.spill import SpillWatch

CARD = 8_000_000_000


def test_it_is_told_once() -> None:
    watch = SpillWatch(taken_before=1_000_000_000)
    assert watch.look(6_000_000_000, 900_000_000, CARD) is None
    notice = watch.look(7_500_000_000, 0, CARD)
    assert notice is not None and "800.0 MB" in notice.text
    assert watch.look(7_900_000_000, 0, CARD) is None


def test_a_card_that_still_has_room_does_not_spill() -> None:
    """Others may have left since; what is free decides."""
    assert SpillWatch(taken_before=4_000_000_000).look(6_000_000_000, 1_500_000_000, CARD) is None
