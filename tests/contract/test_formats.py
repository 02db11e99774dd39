"""What every row format must do, whoever writes it: recognise its own sample, pickle, and never fail but in words."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.data.conversation import Example, RowError
from studio.formats import FORMATS, Recognised, recognise

KEYS = sorted(FORMATS.all())
_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["role", "content", "from", "value", "text", "type", "tool_calls"]), inner, max_size=3
        ),
    ),
    max_leaves=10,
)
_TURNS = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "user", "assistant", "tool", "Human", "", None, 3]),
            "content": st.one_of(st.text(max_size=5), _JSON),
        }
    ),
    max_size=3,
)


@pytest.mark.parametrize("key", KEYS)
def test_says_what_it_is(key: str) -> None:
    fmt = FORMATS.get(key)
    assert fmt.title and fmt.summary.endswith(".") and fmt.roles
    assert all(text and not text.endswith(".") for text in fmt.roles.values())
    assert fmt.required_roles


@pytest.mark.parametrize("key", KEYS)
def test_recognises_its_own_sample_before_all_others(key: str) -> None:
    fmt = FORMATS.get(key)
    sample = json.loads(json.dumps(fmt.sample))
    found = recognise([sample] * 3)
    assert found.format is fmt and found.reason.endswith(".")
    assert set(found.columns) <= set(fmt.role_names) and set(found.columns.values()) <= set(sample)
    assert isinstance(found.read(sample), Example)


@pytest.mark.parametrize("key", KEYS)
def test_guesses_nothing_from_nothing(key: str) -> None:
    for rows in ([], [{}], [{"x": None}], [{"x": {"y": []}}]):
        guess = FORMATS.get(key).guess(rows)
        assert guess.score == 0 and guess.reason.endswith(".")


@pytest.mark.parametrize("key", KEYS)
def test_pickles_with_its_columns(key: str) -> None:
    found = recognise([FORMATS.get(key).sample])
    again: Recognised = pickle.loads(pickle.dumps(found))
    assert again.identity == found.identity and again.format is found.format


@pytest.mark.parametrize("key", KEYS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_row_is_an_example_or_a_reason(key: str, data: st.DataObject) -> None:
    fmt = FORMATS.get(key)
    row: dict[str, Any] = {}
    for role in fmt.role_names:
        row[role] = data.draw(
            st.one_of(_JSON, st.text(max_size=5), _TURNS, _TURNS.map(lambda turns: json.dumps(turns)))
        )
    fmt.guess([row])
    try:
        example = fmt.read(row, {role: role for role in fmt.role_names})
    except RowError as error:
        assert str(error) and not str(error).endswith(".")
    else:
        assert bool(example.messages) != bool(example.text)
        assert all(isinstance(message.content, str) for message in example.messages)


@pytest.mark.parametrize("key", KEYS)
def test_writes_a_row_that_reads_as_it_was(key: str) -> None:
    fmt = FORMATS.get(key)
    columns = fmt.guess([fmt.sample]).columns
    example = fmt.read(fmt.sample, columns)
    assert fmt.read(fmt.write(example, columns), columns) == example
