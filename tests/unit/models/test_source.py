"""What a person may call a model, short of the Hub; and what tells two models apart."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.errors import UserError
from studio.models.facts import read_facts
from studio.models.fingerprint import fingerprint, fingerprint_file
from studio.models.source import resolve_model

NAMES = [
    "architectures",
    "text_config",
    "hidden_size",
    "weight_map",
    "w",
    "dtype",
    "shape",
    "data_offsets",
    "__metadata__",
]


def a_model(folder: Path, content: bytes = bytes(16)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 64}')
    header = json.dumps({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + content)
    return folder


def test_a_folder_is_itself(tmp_path: Path) -> None:
    assert resolve_model(str(a_model(tmp_path / "m"))) == tmp_path / "m"


@pytest.mark.parametrize("source", ["/nowhere/model", "./nowhere", "C:\\models\\x", "a/b/c", "", "~/nowhere x"])
def test_paths_that_lead_nowhere_are_said(source: str) -> None:
    with pytest.raises(UserError, match="is not there"):
        resolve_model(source)


def test_a_gguf_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    with pytest.raises(UserError, match="talked to"):
        resolve_model(str(tmp_path / "m.gguf"))


def test_a_name_that_is_not_cached_says_that_offline_mode_is_on() -> None:
    with pytest.raises(UserError, match="offline mode is on"):
        resolve_model("org/never-seen")


def test_fingerprints_follow_content_not_place(tmp_path: Path) -> None:
    one, same, other = a_model(tmp_path / "1"), a_model(tmp_path / "2"), a_model(tmp_path / "3", bytes(15) + b"x")
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)


def test_large_files_are_told_apart_by_size_and_ends(tmp_path: Path) -> None:
    marks = set()
    for name, content in {"a": bytes(3 << 20), "b": bytes((3 << 20) + 1), "c": bytes((3 << 20) - 1) + b"!"}.items():
        (tmp_path / name).write_bytes(content)
        marks.add(fingerprint_file(tmp_path / name))
    assert len(marks) == 3


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda m: (m / "config.json").unlink(), "no config.json"),
        (lambda m: (m / "config.json").write_text("{"), "not readable as JSON"),
        (lambda m: (m / "config.json").write_text("[]"), "JSON object"),
        (lambda m: (m / "model.safetensors").unlink(), "has no weights"),
        (lambda m: (m / "model.safetensors").rename(m / "pytorch_model.bin"), "can run code"),
        (lambda m: (m / "model.safetensors").write_bytes(b"\x00"), "damaged|cut off"),
        (lambda m: (m / "model.safetensors").write_bytes(b"\xff" * 64), "damaged|cut off"),
        (lambda m: (m / "model.safetensors").write_bytes((m / "model.safetensors").read_bytes()[:-1]), "cut off"),
        (lambda m: (m / "model.safetensors.index.json").write_text('{"weight_map": {"w": "a.safetensors"}}'), "0 of 1"),
        (lambda m: (m / "model.safetensors.index.json").write_text('{"weight_map": {"w": "../x"}}'), "outside"),
    ],
)
def test_broken_model_folders_are_explained(tmp_path: Path, spoil: object, words: str) -> None:
    folder = a_model(tmp_path / "m")
    spoil(folder)  # type: ignore[operator]
    with pytest.raises(UserError, match=words):
        read_facts(folder)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(config=JSON, header=JSON, index=st.none() | JSON)
def test_any_json_in_a_model_folder_is_facts_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, config: object, header: object, index: object
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "config.json").write_text(json.dumps(config))
    written = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(written)) + written + bytes(16))
    if index is not None:
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    try:
        facts = read_facts(folder)
    except UserError as error:
        assert error.message
    else:
        assert facts.num_parameters >= 0
