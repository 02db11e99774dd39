"""Preferences: what is saved comes back, and no damaged file keeps the window from opening."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from studio.preferences import (
    SECTIONS,
    Preferences,
    apply_to_environment,
    load_preferences,
    preferences_path,
    projects_folder,
    save_preferences,
)


def test_what_was_saved_comes_back(fresh_home: Path) -> None:
    assert load_preferences() == Preferences()
    wanted = Preferences(theme="dark", text_size=120, model_folders=["/models/größere 🙂"], on_close="keep")
    save_preferences(wanted)
    assert load_preferences() == wanted
    assert "reduce_motion" not in preferences_path().read_text("utf-8")  # defaults may get better


@pytest.mark.parametrize("text", ["", "- a list", "theme: [", "\x00\xff", "theme: dark\ntext_size: huge\nnew: 1\n"])
def test_a_damaged_file_costs_only_what_is_damaged(fresh_home: Path, text: str) -> None:
    preferences_path().write_text(text, "utf-8")
    found = load_preferences()
    assert found == Preferences(theme="dark" if "theme: dark" in text else "system")


def test_every_preference_is_in_one_section_and_says_what_it_is() -> None:
    listed = [name for names in SECTIONS.values() for name in names]
    assert sorted(listed) == sorted(Preferences.model_fields)
    for field in Preferences.model_fields.values():
        assert field.title and field.description and field.description.endswith(".")


def test_the_environment_follows_unless_it_was_set_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.preferences._STARTED_WITH", frozenset({"HF_HUB_CACHE"}))
    monkeypatch.setenv("HF_HUB_CACHE", "/theirs")
    for name in ("HF_ENDPOINT", "TUNESMITH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    apply_to_environment(Preferences(hub_endpoint="https://mirror/", hub_cache="/ours", offline=True))
    assert (os.environ["HF_ENDPOINT"], os.environ["TUNESMITH_OFFLINE"]) == ("https://mirror", "1")
    assert os.environ["HF_HUB_CACHE"] == "/theirs"
    apply_to_environment(Preferences())
    assert "HF_ENDPOINT" not in os.environ and "TUNESMITH_OFFLINE" not in os.environ


def test_new_projects_have_a_place() -> None:
    assert projects_folder(Preferences()) == Path.home() / "Tunesmith"
    assert projects_folder(Preferences(projects_folder="~/mine")) == Path.home() / "mine"
