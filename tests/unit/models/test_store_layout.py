"""How a model's numbers are divided into units."""

from __future__ import annotations

from math import prod
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from studio.models.store_layout import Layout, lay_out_layer, lay_out_unit, read_layout

SHAPES = st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=1, max_size=9)


@given(SHAPES)
def test_a_layer_in_pieces_is_the_layer_in_order(shapes: list[tuple[int, int]]) -> None:
    """No piece has more than its largest matrix, and none could be joined to the next."""
    named = {f"m{number}": shape for number, shape in enumerate(shapes)}
    units = lay_out_layer(7, named)
    assert [t.name for unit in units for t in unit.tensors] == list(named)
    sizes = [sum(t.numbers for t in unit.tensors) for unit in units]
    most = max(map(prod, shapes))
    assert max(sizes) == most
    firsts = [unit.tensors[0].numbers for unit in units]
    assert all(size + first > most for size, first in zip(sizes, firsts[1:], strict=False))
    assert {unit.layer for unit in units} == {7} and len({unit.name for unit in units}) == len(units)


def test_units_are_told_apart_by_layer(tmp_path: Path) -> None:
    """Those of earlier versions, a unit for each layer, as well."""
    pieces = lay_out_layer(0, {"q": (4, 4), "up": (8, 4)}) + lay_out_layer(1, {"q": (4, 4), "up": (8, 4)})
    whole = [lay_out_unit(f"layer-{at:03d}", {"q": (4, 4), "up": (8, 4)}) for at in range(2)]
    end = lay_out_unit("end-0", {"head": (9, 4)})
    for units, layers in ((pieces, [[0, 1], [2, 3]]), (whole, [[0], [1]])):
        Layout("E", "model", 1 << 20, (), (*units, end)).save(tmp_path)
        layout = read_layout(tmp_path)
        assert layout.layers == layers and layout.ends == [len(units)]
