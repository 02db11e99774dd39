"""Models from the Hub, against a server on this machine that speaks its protocol. Each download is a process."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.hub_server import COMMIT, Hub, serve

FETCH = """
import sys
from studio.errors import UserError
from studio.models.source import resolve_model
seen = []
try:
    print(resolve_model(sys.argv[1], sys.argv[2], on_progress=lambda done, total, what: seen.append((done, total))))
    print(seen[-1] if seen else "")
except UserError as error:
    print("USER:", error)
"""


def weights(num_bytes: int) -> bytes:
    """A safetensors file with one tensor."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [num_bytes], "data_offsets": [0, num_bytes]}}).encode()
    return struct.pack("<Q", len(header)) + header + os.urandom(num_bytes)


def a_repository(num_bytes: int = 300_000) -> dict[str, bytes]:
    return {
        "config.json": b'{"architectures": ["LlamaForCausalLM"]}',
        "tokenizer.json": b"{}",
        "README.md": b"# A model",
        "model.safetensors": weights(num_bytes),
        "pytorch_model.bin": b"pickle" * 100,
        "modeling_evil.py": b"print('never')",
        "onnx/model.onnx": b"x",
    }


def start(hub: Hub, home: Path, name: str = "", revision: str = "", **extra: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(home), **extra}
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, name or hub.name, revision],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


def fetch(hub: Hub, home: Path, name: str = "", revision: str = "", **extra: str) -> str:
    output, errors = start(hub, home, name, revision, **extra).communicate(timeout=60)
    assert output, errors
    return output.strip()


def test_only_what_is_needed_comes_over_and_offline_finds_it_again(tmp_path: Path) -> None:
    with serve(Hub("org/model", a_repository())) as hub:
        first = fetch(hub, tmp_path).splitlines()
        folder = Path(first[0])
        total = sum(len(hub.files[path.name]) for path in folder.iterdir())
        assert first[1] == str((float(total), float(total)))
        asked = len(hub.requests)
        assert fetch(hub, tmp_path, revision=COMMIT) == first[0]
        assert len(hub.requests) == asked  # a commit never changes: nothing to ask
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "tokenizer.json",
        "README.md",
        "model.safetensors",
    }
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    assert fetch(hub, tmp_path, HF_HUB_OFFLINE="1") == first[0]
    assert fetch(hub, tmp_path) == first[0]  # the server is gone; what is here is enough


def test_a_killed_download_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """The library hands bytes over in pieces of 10 MiB, so the file must have several of them."""
    with serve(Hub("org/model", a_repository(30_000_000), pause=0.02)) as hub:
        process = start(hub, tmp_path)
        while not any(path.stat().st_size > 500_000 for path in tmp_path.rglob("*.part")):
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
        process.communicate()
        hub.pause = 0
        folder = Path(fetch(hub, tmp_path).splitlines()[0])
        assert hub.sizes_asked()[-1] > 500_000
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    assert not list(tmp_path.rglob("*.part*"))


def test_a_cut_connection_is_taken_up_again(tmp_path: Path) -> None:
    with serve(Hub("org/model", a_repository(1_000_000), cut_after=400_000)) as hub:
        folder = Path(fetch(hub, tmp_path).splitlines()[0])
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]


@pytest.mark.parametrize(
    ("change", "name", "revision", "words"),
    [
        ({"gated": True}, "", "", "HF_TOKEN"),
        ({}, "org/other", "", "There is no model org/other"),
        ({}, "", "nosuch", 'no revision "nosuch"'),
        ({"broken": True}, "", "", "error 500"),
        ({"damaged": True}, "", "", "checksum is wrong"),
        ({}, "not a name!", "", "is not there"),
    ],
)
def test_what_goes_wrong_is_said_in_words(
    tmp_path: Path, change: dict[str, bool], name: str, revision: str, words: str
) -> None:
    with serve(Hub("org/model", a_repository(), **change)) as hub:  # type: ignore[arg-type]
        output = fetch(hub, tmp_path, name, revision)
    assert output.startswith("USER:") and words in output


@pytest.mark.parametrize(
    ("missing", "words"), [("model.safetensors", "no safetensors weights"), ("config.json", "no config.json")]
)
def test_repositories_that_cannot_be_trained_are_refused_before_anything_is_downloaded(
    tmp_path: Path, missing: str, words: str
) -> None:
    files = a_repository()
    del files[missing]
    with serve(Hub("org/model", files)) as hub:
        assert words in fetch(hub, tmp_path)
        assert not any("/resolve/" in path for _, path, _ in hub.requests)


def test_a_full_disk_is_noticed_first(tmp_path: Path) -> None:
    huge = {**a_repository(), "model.safetensors": _Huge(weights(100))}
    with serve(Hub("org/model", huge)) as hub:
        output = fetch(hub, tmp_path)
        assert "needs" in output and "Free some space" in output
        assert not any("/resolve/" in path for _, path, _ in hub.requests)


class _Huge(bytes):
    """Claims to be larger than any disk."""

    def __len__(self) -> int:
        return 10**18


def test_an_unreachable_hub_names_the_ways_out(tmp_path: Path) -> None:
    with serve(Hub("org/model", {})) as hub:
        pass
    output = fetch(hub, tmp_path)
    assert "cannot be reached" in output and "HF_ENDPOINT" in output
