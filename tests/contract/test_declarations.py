"""Every setting is declared whole, and every unit is where its name says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from studio.declare import Settings
from studio.formats import FORMATS
from studio.methods import METHODS
from studio.objectives import OBJECTIVES
from studio.optimizers import OPTIMIZERS
from studio.spec.file import draft_values, parse_spec, problems_of
from studio.spec.run_spec import RunSpec
from studio.spec.sampling import Sampling
from studio.spec.values import set_values
from studio.units import Registry
from studio.worker.job import JOBS

REGISTRIES = {
    "method": METHODS,
    "objective": OBJECTIVES,
    "optimizer": OPTIMIZERS,
    "format": FORMATS,
    "job": JOBS,
}

# DESIGN.md section 5: scripts rely on these. More may be added; none goes without a migration.
STABLE_PATHS = [
    "model.source", "data.path", "data.format", "data.columns", "data.holdout", "data.train_on", "method.key",
    "method.rank", "method.alpha", "method.dropout", "method.targets", "objective.key", "optimizer.key",
    "train.steps", "train.epochs", "train.batch_size", "train.accumulation", "train.max_length", "train.packing",
    "train.shuffle", "train.seed", "train.precision", "train.learning_rate", "train.weight_decay", "train.schedule",
    "train.warmup", "train.clip_norm", "train.activation_checkpointing", "train.eval_every", "train.checkpoint_every",
    "train.checkpoint_minutes", "train.device",
]  # fmt: skip


def groups() -> Iterator[tuple[str, type[Settings]]]:
    for name, field in RunSpec.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Settings) and name not in REGISTRIES:
            yield name, field.annotation
    for kind in ("method", "objective", "optimizer"):
        for key, unit in REGISTRIES[kind].all().items():
            yield f"{kind}:{key}", unit.Params
    yield "sampling", Sampling


@pytest.mark.parametrize(("name", "group"), list(groups()))
def test_each_setting_says_what_it_is(name: str, group: type[Settings]) -> None:
    for field_name, field in group.model_fields.items():
        if field_name == "key":
            continue
        assert field.title and field.title[0].isupper(), f"{name}.{field_name} has no title"
        assert field.description and len(field.description) > 10, f"{name}.{field_name} has no help"
        assert field.description.endswith("."), f"{name}.{field_name}: help is no sentence"


@pytest.mark.parametrize("kind", REGISTRIES)
def test_units_have_their_files_names(kind: str) -> None:
    registry: Registry[Any] = REGISTRIES[kind]
    assert registry.all()
    for key, unit in registry.all().items():
        assert unit.key == key and key == key.lower()


@pytest.mark.parametrize("key", METHODS.all())
def test_each_method_makes_a_spec_that_survives_its_file(key: str) -> None:
    spec = parse_spec({"model": {"source": "m"}, "data": {"path": "d"}, "method": {"key": key}})
    assert parse_spec(draft_values(spec)) == spec
    assert METHODS.get(key).learning_rate > 0
    assert isinstance(METHODS.get(key).problems(spec.method, None), list)


def test_stable_settings_exist() -> None:
    spec = parse_spec({"model": {"source": "m"}, "data": {"path": "d"}})
    values = spec.model_dump()
    for path in STABLE_PATHS:
        section, name = path.split(".")
        assert name in values[section], path
    assert set_values(spec, ["train.precision=fp32", "data.train_on=everything"]).train.precision == "fp32"


def test_an_unknown_name_anywhere_is_a_problem() -> None:
    for section in ("model", "data", "method", "objective", "optimizer", "train"):
        base = {"model": {"source": "m"}, "data": {"path": "d"}}
        values = {**base, section: {**base.get(section, {}), "no_such_setting": 1}}
        assert [problem.path for problem in problems_of(values)] == [f"{section}.no_such_setting"]
