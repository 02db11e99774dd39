"""Models on this computer: what is found, what it takes, and that deleting never touches what is a person's own."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from filelock import FileLock

from studio.errors import UserError
from studio.models.on_disk import ModelOnDisk, delete_model, folder_bytes, models_on_disk

COMMIT = "a" * 40


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    return folder


def make_model(folder: Path, num_bytes: int = 1000) -> Path:
    header = json.dumps({"w": {"dtype": "F32", "shape": [num_bytes // 4], "data_offsets": [0, num_bytes]}}).encode()
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(num_bytes))
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], "hidden_size": 8}))
    (folder / "tokenizer.json").write_text("{}")
    return folder


def make_cached(cache: Path, name: str = "org/small") -> Path:
    root = cache / f"models--{name.replace('/', '--')}"
    make_model(root / "snapshots" / COMMIT)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(COMMIT)
    return root


def found(title: str, folders: list[str] | None = None) -> ModelOnDisk:
    return next(model for model in models_on_disk(folders or []) if model.title == title)


def test_the_starter_is_always_there_and_cannot_be_deleted(cache: Path) -> None:
    starter = found("Starter")
    assert starter.source == "starter" and starter.facts is not None and starter.size_bytes > 1_000_000
    with pytest.raises(UserError):
        delete_model(starter)
    assert starter.folder.is_dir()


def test_folders_are_listed_themselves_or_by_what_is_in_them(cache: Path, tmp_path: Path) -> None:
    mine = make_model(tmp_path / "größe 🙂 models" / "mine")
    (tmp_path / "größe 🙂 models" / "notes").mkdir()
    for folders in ([str(mine)], [str(mine.parent)], [str(mine.parent), str(tmp_path / "gone")]):
        model = found("mine", folders)
        assert (model.source, model.kind, model.facts and model.facts.num_parameters) == (str(mine), "folder", 250)
        with pytest.raises(UserError, match="did not come from the Hub"):
            delete_model(model)
    assert mine.is_dir()


def test_what_cannot_be_used_is_listed_with_the_reason(cache: Path, tmp_path: Path) -> None:
    (make_model(tmp_path / "cut") / "model.safetensors").write_bytes(b"\x10")
    model = found("cut", [str(tmp_path / "cut")])
    assert model.facts is None and "damaged or cut off" in model.problem


def test_a_cached_model_is_deleted_whole_and_nothing_else(cache: Path) -> None:
    root, other = make_cached(cache), make_cached(cache, "org/other")
    model = found("org/small")
    assert model.size_bytes == folder_bytes(root) and not model.is_partial
    assert delete_model(model) == model.size_bytes
    assert not root.exists() and other.exists() and not list(cache.glob(".deleting*"))
    with pytest.raises(UserError):
        delete_model(model)


def test_an_unfinished_download_is_told_and_may_be_deleted_but_not_while_it_runs(cache: Path) -> None:
    blobs = cache / "models--org--half" / "blobs"
    blobs.mkdir(parents=True)
    partial = blobs / "abc.tunesmith.part"
    partial.write_bytes(bytes(500))
    model = found("org/half")
    assert model.is_partial and model.size_bytes == 500 and "not finished" in model.problem
    with FileLock(f"{partial}.lock"), pytest.raises(UserError, match="being downloaded"):
        delete_model(model)
    delete_model(model)
    assert not blobs.exists()


def test_a_link_in_the_cache_is_not_followed(cache: Path, tmp_path: Path) -> None:
    mine = make_model(tmp_path / "precious" / "snapshots" / COMMIT)
    (cache / "models--org--link").symlink_to(tmp_path / "precious")
    assert all(model.title != "org/link" for model in models_on_disk())
    forged = ModelOnDisk("org/link", "org/link", "hub", mine, 1, None)
    with pytest.raises(UserError):
        delete_model(forged)
    assert mine.is_dir()
