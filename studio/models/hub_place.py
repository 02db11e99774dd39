"""Where the Hub is, where its files are kept, and who asks: read from the environment anew at each question.

The Hub's library reads its environment once, when it is imported; in a window, preferences change after that.
"""

from __future__ import annotations

import os
from pathlib import Path

from studio.models.hub_token import kept_token

PUBLIC = "https://huggingface.co"


def endpoint() -> str:
    """The Hub's address, or a mirror's (`HF_ENDPOINT`)."""
    return os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or PUBLIC


def cache_dir() -> Path:
    """The cache that programs share, by the Hub library's own rules (`HF_HUB_CACHE`, `HF_HOME`)."""
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if named:
        return Path(os.path.expandvars(named)).expanduser()
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    return Path(os.path.expandvars(home)).expanduser() / "hub"


def is_offline() -> bool:
    """Whether the person or the library was told to stay offline."""
    return any(_is_on(name) for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "TUNESMITH_OFFLINE"))


def token() -> str | None:
    """The token from the system's keyring; None leaves it to the library (`HF_TOKEN`, its own login)."""
    return None if os.environ.get("HF_TOKEN") else kept_token()


def _is_on(name: str) -> bool:
    return os.environ.get(name, "").strip().lower() not in ("", "0", "false", "no", "off")
