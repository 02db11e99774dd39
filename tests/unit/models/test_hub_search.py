"""Searching the Hub and keeping a token, against a server on this machine and a keyring in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keyring
import keyring.backend
import keyring.backends.fail
import pytest

from studio.errors import UserError
from studio.models import hub_place
from studio.models.facts import read_facts
from studio.models.hub_facts import fetch_facts
from studio.models.hub_search import name_in, offer, page_of, search
from studio.models.hub_token import forget_token, has_keyring, keep_token, kept_token
from studio.models.source import starter_model
from tests.helpers.hub_server import Hub, serve
from tests.unit.models.test_hub import a_repository

TOKEN = "hf_abcdefghijklmnop"
LISTED: list[dict[str, Any]] = [
    {
        "id": "org/Small-Chat",
        "gated": "manual",
        "downloads": 1234,
        "likes": 5,
        "tags": ["safetensors", "license:apache-2.0"],
        "pipeline_tag": "text-generation",
        "safetensors": {"parameters": {"BF16": 1000, "F32": 10}, "total": 1010},
    },
    {"id": "org/small-painter", "gated": False, "pipeline_tag": "text-to-image", "tags": []},
    {"id": "org/small-plain", "gated": False, "tags": []},
]


class MemoryKeyring(keyring.backend.KeyringBackend):
    """Keeps passwords as long as it lives."""

    priority = 1.0  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


@pytest.fixture
def no_keyring() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(keyring.backends.fail.Keyring())
    yield
    keyring.set_keyring(before)


@pytest.fixture
def memory_keyring(no_keyring: None) -> MemoryKeyring:
    found = MemoryKeyring()
    keyring.set_keyring(found)
    return found


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The library reads its own offline switch once, when imported; ours are read anew."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with serve(Hub("org/Small-Chat", a_repository(), listed=LISTED)) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def test_a_search_tells_size_licence_and_terms_and_leaves_out_what_writes_no_text(hub: Hub) -> None:
    found = search("small")
    assert [model.name for model in found] == ["org/Small-Chat", "org/small-plain"]
    first = found[0]
    assert (first.parameters, first.weight_bytes, first.licence) == (1010, 2040, "apache-2.0")
    assert first.is_gated and not first.is_here and first.downloads == 1234
    assert (found[1].parameters, found[1].licence) == (0, "")
    assert search("nothing like it") == []


def test_a_link_finds_its_model(hub: Hub) -> None:
    assert name_in("https://huggingface.co/org/Small-Chat/tree/main") == "org/Small-Chat"
    assert [model.name for model in search("https://huggingface.co/org/Small-Chat")] == ["org/Small-Chat"]
    assert page_of("org/Small-Chat") == f"{hub.url}/org/Small-Chat"


def test_an_offer_counts_only_what_would_be_downloaded(hub: Hub) -> None:
    found = offer("org/Small-Chat")
    wanted = ("config.json", "tokenizer.json", "README.md", "model.safetensors")
    assert found.total_bytes == found.missing_bytes == sum(len(hub.files[name]) for name in wanted)
    assert found.free_bytes > 0 and found.short_bytes == 0
    assert not any("/resolve/" in path for _, path, _ in hub.requests)


def test_what_goes_wrong_is_said_in_words(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.gated = True
    with pytest.raises(UserError, match="gated"):
        offer("org/Small-Chat")
    monkeypatch.setenv("TUNESMITH_OFFLINE", "1")
    with pytest.raises(UserError, match="offline mode is on"):
        search("small")
    monkeypatch.delenv("TUNESMITH_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError) as caught:
        search("small")
    assert str(caught.value) == "127.0.0.1:9 does not answer. Models on this computer work as before."


def test_the_kept_token_goes_to_the_hub_and_one_from_outside_wins(
    hub: Hub, memory_keyring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    search("small")
    assert hub.tokens == {""}
    keep_token(f" {TOKEN}\n")
    search("small")
    assert TOKEN in hub.tokens and list(memory_keyring.kept.values()) == [TOKEN]
    monkeypatch.setenv("HF_TOKEN", "hf_from_outside")
    assert hub_place.token() is None
    forget_token()
    forget_token()
    assert kept_token() is None


def test_without_a_keyring_nothing_is_kept_and_it_is_said(no_keyring: None) -> None:
    assert not has_keyring() and kept_token() is None
    with pytest.raises(UserError, match="no keyring"):
        keep_token(TOKEN)
    with pytest.raises(UserError, match="no Hub token"):
        keep_token("my password")


def test_the_cache_is_where_the_library_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", "/somewhere")
    assert hub_place.cache_dir() == Path("/somewhere/hub")
    monkeypatch.setenv("HF_HUB_CACHE", "/elsewhere")
    assert hub_place.cache_dir() == Path("/elsewhere")


def test_facts_are_known_before_anything_is_downloaded(hub: Hub, tmp_path: Path) -> None:
    starter = starter_model()
    hub.files = {path.name: path.read_bytes() for path in starter.iterdir()}
    found, here = fetch_facts("org/Small-Chat"), read_facts(starter)
    assert replace(found, folder=here.folder) == here
    assert not (tmp_path / "cache").exists()  # a model that was looked at is no unfinished download
    del hub.files["config.json"]
    with pytest.raises(UserError, match="no config"):
        fetch_facts("org/Small-Chat")
