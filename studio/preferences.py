"""What a person prefers on this computer, whichever project is open: declared once, kept in one small YAML file.

Project settings are not here (they are in `spec`); how preferences look in a form is the window's matter.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from studio.declare import Settings, setting
from studio.machine.other_drives import VARIABLE
from studio.paths import config_dir, write_text

VERSION = 1

# Section title -> fields, in the order in which a form shows them.
SECTIONS: dict[str, tuple[str, ...]] = {
    "Appearance": ("theme", "text_size", "reduce_motion"),
    "Projects": ("projects_folder", "stream_folders", "on_close", "notify_when_done"),
    "Models": ("model_folders", "hub_cache", "hub_endpoint", "offline"),
}


class Preferences(Settings):
    """Everything a person may prefer. Each takes effect at once."""

    theme: Literal["system", "light", "dark"] = setting(
        "system", title="Theme", help="Light, dark, or whatever the system shows."
    )
    text_size: int = setting(
        100, title="Text size", help="Makes all text and the controls around it larger.", unit="%", ge=90, le=150
    )
    reduce_motion: bool = setting(
        False, title="Reduce motion", help="Turns every movement off."
    )
    projects_folder: str = setting(
        "", title="New projects", help="The folder new projects are made in; empty takes Tunesmith in your home folder."
    )
    stream_folders: list[str] = setting(
        [],
        title="Further drives for streaming",
        help="Folders on other SSDs inside this computer, equally quick ones. What SSD offload trains is shared out"
        " between them and the project's own drive, so that their speeds add up; a run needs all of them to the end.",
    )
    on_close: Literal["ask", "keep", "stop"] = setting(
        "ask",
        title="Closing while training",
        help="Ask each time, keep training in the background, or save and stop.",
    )
    notify_when_done: bool = setting(
        True, title="Tell when a run ends", help="Shows a message of the system when the window is not in front."
    )
    model_folders: list[str] = setting(
        [], title="Model folders", help="Folders that hold model folders of your own; they are listed under Models."
    )
    hub_cache: str = setting(
        "",
        title="Downloads",
        help="Where models from the Hub are kept; empty takes the cache that other programs share.",
    )
    hub_endpoint: str = setting(
        "",
        title="Hub address",
        help="A mirror to use in place of huggingface.co, such as https://hub.example.org.",
        pattern=r"^(https?://\S+)?$",
    )
    offline: bool = setting(
        False, title="Stay offline", help="Nothing is looked up or downloaded; models on this computer work as before."
    )


def preferences_path() -> Path:
    """Where they are kept."""
    return config_dir() / "preferences.yaml"


def load_preferences() -> Preferences:
    """What was saved; a value that cannot be used (an older or newer program's, a slip of the hand) is its default."""
    return _usable(_read(preferences_path()))


def save_preferences(preferences: Preferences) -> None:
    """Write them atomically: only what differs from its default, so that better defaults reach everybody.

    Raises:
        OSError: the settings folder cannot be written.
    """
    values = preferences.model_dump(mode="json", exclude_defaults=True)
    write_text(preferences_path(), yaml.safe_dump({"version": VERSION, **values}, sort_keys=False, allow_unicode=True))


def projects_folder(preferences: Preferences) -> Path:
    """Where new projects go."""
    chosen = preferences.projects_folder.strip()
    return Path(chosen).expanduser() if chosen else Path.home() / "Tunesmith"


def apply_to_environment(preferences: Preferences) -> None:
    """Tell this process and the workers it starts. What the program was started with in its environment wins."""
    wanted = {
        "HF_ENDPOINT": preferences.hub_endpoint.strip().rstrip("/"),
        "HF_HUB_CACHE": str(Path(preferences.hub_cache).expanduser()) if preferences.hub_cache.strip() else "",
        "TUNESMITH_OFFLINE": "1" if preferences.offline else "",
        VARIABLE: os.pathsep.join(preferences.stream_folders),
    }
    for name, value in wanted.items():
        if name in _STARTED_WITH:
            continue
        if value:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)


def is_from_environment(name: str) -> bool:
    """Whether the program was started with this variable set, so that a preference has no say."""
    return name in _STARTED_WITH


_STARTED_WITH = frozenset(os.environ)  # before any preference was applied


def _read(path: Path) -> Mapping[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _usable(values: Mapping[str, Any]) -> Preferences:
    known = {name: value for name, value in values.items() if name in Preferences.model_fields}
    try:
        return Preferences.model_validate(known)
    except ValidationError as error:
        bad = {detail["loc"][0] for detail in error.errors()}
        return Preferences.model_validate({name: value for name, value in known.items() if name not in bad})
