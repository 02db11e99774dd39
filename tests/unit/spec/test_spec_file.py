"""Specs as files: what is wrong is said all at once, with the way out."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.errors import UserError
from studio.models.facts import facts_of
from studio.spec.check import check, resolve
from studio.spec.file import load_spec, parse_spec, save_spec
from studio.spec.run_spec import RunSpec
from studio.spec.values import set_values

MINIMAL = {"model": {"source": "starter"}, "data": {"path": "rows.jsonl"}}


def problems_of(**changes: object) -> dict[str, str]:
    with pytest.raises(UserError) as caught:
        parse_spec({**MINIMAL, **changes})
    return {problem.path: f"{problem.message} {problem.hint}" for problem in caught.value.problems}


def test_a_draft_survives_the_file(tmp_path: Path) -> None:
    spec = set_values(parse_spec(MINIMAL), ["train.seed=7", "method.rank=4", "data.columns={question: q}"])
    save_spec(tmp_path / "project.yaml", spec)
    assert load_spec(tmp_path / "project.yaml") == spec


def test_every_problem_is_told_at_once_and_misspelt_names_get_their_neighbour() -> None:
    found = problems_of(trian={}, train={"batchsize": 2, "steps": 0, "precision": "fp8", "epochs": "many"})
    assert set(found) == {"trian", "train.batchsize", "train.steps", "train.precision", "train.epochs"}
    assert '"train"' in found["trian"]
    assert '"batch_size"' in found["train.batchsize"]
    assert "at least 1" in found["train.steps"] and "0" in found["train.steps"]
    assert "'fp32' or 'bf16'" in found["train.precision"]
    assert "many" in found["train.epochs"]


def test_units_are_checked_by_their_own_declaration() -> None:
    found = problems_of(method={"key": "lorra"}, optimizer={"key": "adamw", "beta1": 2})
    assert '"lora"' in found["method.key"]
    assert "less than 1" in found["optimizer.beta1"]
    assert '"rank"' in problems_of(method={"key": "lora", "ranks": 3})["method.ranks"]


def test_missing_sections_are_named() -> None:
    with pytest.raises(UserError) as caught:
        parse_spec({})
    assert {problem.path for problem in caught.value.problems} == {"model.source", "data.path"}


@pytest.mark.parametrize(
    ("text", "word"),
    [("train: [", "line"), ("- a", "settings"), ("\x00", "YAML"), ("version: 99", "Update"), ("version: x", "version")],
)
def test_files_that_are_no_spec_are_refused_in_words(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "project.yaml").write_text(text)
    with pytest.raises(UserError, match=word):
        load_spec(tmp_path / "project.yaml")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "project.yaml").write_bytes(b"\xff\xfe\x00\xd8garbage")
    with pytest.raises(UserError):
        load_spec(tmp_path / "project.yaml")


def test_set_reads_yaml_and_keeps_text_text() -> None:
    spec = set_values(
        parse_spec(MINIMAL),
        [
            "train.learning_rate=1e-4",
            "train.steps=20",
            "train.packing=true",
            "data.path=2024",
            "data.columns.question=1",
            "method.targets=[q_proj, v_proj]",
        ],
    )
    assert spec.train.learning_rate == 1e-4 and spec.train.steps == 20 and spec.train.packing
    assert spec.data.path == "2024" and spec.data.columns == {"question": "1"}
    assert spec.method.targets == ["q_proj", "v_proj"]  # type: ignore[attr-defined]
    assert set_values(spec, ["train.steps=null"]).train.steps is None


def test_changing_the_method_keeps_what_the_new_one_knows() -> None:
    spec = set_values(parse_spec(MINIMAL), ["method.rank=8", "method.key=qlora"])
    assert spec.method.key == "qlora" and spec.method.rank == 8  # type: ignore[attr-defined]
    assert set_values(spec, ["method.key=full"]).method.key == "full"


@pytest.mark.parametrize("text", ["train.steps", "steps=3", "=3", "trian.steps=3", "train..steps=3", "version.x=1"])
def test_assignments_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UserError):
        set_values(parse_spec(MINIMAL), [text])


def a_spec(tmp_path: Path, *assignments: str) -> RunSpec:
    (tmp_path / "rows.jsonl").write_text("{}\n")
    return set_values(parse_spec(MINIMAL), [f"data.path={tmp_path / 'rows.jsonl'}", *assignments])


def test_a_sound_spec_has_no_problems(tmp_path: Path) -> None:
    assert check(a_spec(tmp_path)) == []


def test_contradictions_are_all_found_at_once(tmp_path: Path) -> None:
    spec = a_spec(
        tmp_path,
        "train.steps=10",
        "train.warmup=10",
        "data.holdout=0",
        "train.early_stopping=2",
        "train.eval_every=5",
        "train.device=gpu",
        "data.format=aplaca",
        "train.checkpoint_minutes=0",
        "train.learning_rate=1",
    )
    found = {problem.path: problem for problem in check(spec)}
    fatal = {path for path, problem in found.items() if problem.is_fatal}
    assert fatal == {"train.warmup", "train.early_stopping", "train.device", "data.format"}
    assert set(found) - fatal == {"train.eval_every", "train.checkpoint_minutes", "train.learning_rate"}
    assert "alpaca" in found["data.format"].hint


def test_files_and_counts_are_looked_at(tmp_path: Path) -> None:
    assert [problem.path for problem in check(a_spec(tmp_path, "data.path=/nowhere.jsonl"))] == ["data.path"]
    assert [p.path for p in check(a_spec(tmp_path, "data.holdout=5"), num_rows=5)] == ["data.holdout"]
    assert [p.path for p in check(a_spec(tmp_path, "data.holdout=1.5"))] == ["data.holdout"]


def test_resolving_fills_in_the_methods_rate(tmp_path: Path) -> None:
    assert resolve(a_spec(tmp_path)).train.learning_rate
    assert resolve(a_spec(tmp_path, "train.learning_rate=3e-5")).train.learning_rate == 3e-5


def test_an_old_project_still_opens() -> None:
    spec = load_spec(Path(__file__).parents[2] / "data" / "project-v1.yaml")
    assert spec.version == 1 and spec.data.path == "data/rows.jsonl"


LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=6) | st.dates()
NAMES = st.sampled_from(
    ["version", "model", "data", "method", "optimizer", "train", "key", "source", "path", "steps", "targets", "columns"]
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=4), inner),
    max_leaves=15,
)


@settings(max_examples=200, deadline=None)
@given(values=VALUES)
def test_any_yaml_is_a_spec_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, values: object) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "project.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    try:
        assert load_spec(path).version == 1
    except UserError as error:
        assert str(error)


@settings(max_examples=150, deadline=None)
@given(path=st.text(alphabet="trainmethodkysp.=[]{}: 1", max_size=25), value=st.text(max_size=10))
def test_any_assignment_is_a_spec_or_a_sentence(path: str, value: str) -> None:
    for text in (path, f"train.{path}={value}", f"method.key={value}", f"data.columns.{path}={value}"):
        try:
            set_values(parse_spec(MINIMAL), [text])
        except UserError as error:
            assert str(error)


@pytest.mark.parametrize(("kind", "is_said"), [("mxfp4", True), ("fp8", True), ("bitsandbytes", False)])
def test_weights_that_can_only_be_run_are_refused(kind: str, is_said: bool) -> None:
    """As gpt-oss and DeepSeek-V3 are published."""
    config = {"quantization_config": {"quant_method": kind}}
    facts = facts_of(Path("model"), config, {}, ["tokenizer.json"], {})
    said = [problem for problem in check(parse_spec(MINIMAL), facts) if problem.path == "model.source"]
    assert bool(said) == is_said
    assert all(problem.is_fatal and kind in problem.message and "16-bit" in problem.hint for problem in said)
