"""Goals propose settings that exist; descriptions of settings say what the declarations say."""

from __future__ import annotations

import pytest

from studio.errors import UserError
from studio.methods import METHODS
from studio.preferences import Preferences
from studio.spec.fields import assignment, describe
from studio.spec.file import draft_values, parse_spec
from studio.spec.goals import GOALS
from studio.spec.presets import assignments, order_by_fit, proposals
from studio.spec.run_spec import RunSpec, TrainSection
from studio.spec.values import set_values

SPEC = parse_spec({"model": {"source": "starter"}, "data": {"path": "rows.jsonl"}})


@pytest.mark.parametrize("key", GOALS)
@pytest.mark.parametrize("method", METHODS.all())
def test_every_goal_can_be_set_on_every_method(key: str, method: str) -> None:
    spec = set_values(SPEC, [f"method.key={method}"])
    chosen = set_values(spec, assignments(key, spec))
    assert chosen.goal.kind == key and chosen.method.key == method
    assert all(proposal.why.endswith(".") for proposal in proposals(GOALS[key], spec))
    assert chosen.train.epochs == next(p.value for p in GOALS[key].proposals if p.path == "train.epochs")


def test_few_rows_are_seen_more_often_and_the_reason_is_said() -> None:
    few = {p.path: p for p in proposals(GOALS["tone"], SPEC, num_rows=40)}
    assert few["train.epochs"].value == 6.0 and "40 rows" in few["train.epochs"].why
    many = {p.path: p for p in proposals(GOALS["tone"], SPEC, num_rows=10_000)}
    assert many["train.epochs"].value == 3.0


def test_a_goal_is_kept_in_the_draft_and_an_unknown_one_is_refused() -> None:
    assert "goal" not in draft_values(SPEC)
    chosen = set_values(SPEC, ["goal.kind=task"])
    assert parse_spec(draft_values(chosen)) == chosen
    with pytest.raises(UserError) as caught:
        set_values(SPEC, ["goal.kind=tsak"])
    assert 'Did you mean "task"?' in str(caught.value)


def test_what_fits_comes_first() -> None:
    assert order_by_fit({"a": "short", "b": "", "c": "fits", "d": "tight", "e": "fits"}) == ["c", "e", "d", "b", "a"]
    assert order_by_fit({"badam": "fits", "lora": "fits", "full": "short"}) == ["lora", "badam", "full"]


def test_a_declaration_is_described_as_it_stands() -> None:
    found = {field.name: field for field in describe(TrainSection, "train")}
    assert found["epochs"].kind == "decimal" and found["epochs"].low == 0 and found["epochs"].excludes_low
    assert found["steps"].kind == "whole" and found["steps"].is_optional and found["steps"].low == 1
    assert found["max_length"].unit == "tokens" and found["max_length"].path == "train.max_length"
    assert found["precision"].kind == "choice" and found["precision"].choices == ("fp32", "bf16")
    assert found["packing"].kind == "switch" and found["seed"].is_advanced
    lora = {field.name: field for field in describe(METHODS.get("lora").Params, "method")}
    assert lora["targets"].kind == "list" and lora["targets"].choices == ("all-linear",)
    assert "key" not in lora
    assert {field.kind for field in describe(Preferences)} == {"choice", "whole", "switch", "text", "list"}


def test_assignments_are_read_back_as_they_were() -> None:
    values = {
        "train.learning_rate": 2e-5,
        "train.steps": None,
        "train.packing": True,
        "data.columns": {"question": "größe: 1"},
        "method.targets": ["q_proj", "v_proj"],
        "data.path": "a=b #c.jsonl",
    }
    spec: RunSpec = set_values(SPEC, [assignment(path, value) for path, value in values.items()])
    for path, value in values.items():
        section, name = path.split(".")
        assert getattr(getattr(spec, section), name) == value, path
