"""The files that travel with weights: tokenizer, chat template, generation settings, licence. Never weights or code."""

from __future__ import annotations

import shutil
from pathlib import Path

PATTERNS = (
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "spiece.model",
    "chat_template*",
    "generation_config.json",
    "LICEN[CS]E*",
    "NOTICE*",
    "USE_POLICY*",
)


def companions(folder: Path) -> list[Path]:
    """A model folder's companions, in order of name."""
    found = {path for pattern in PATTERNS for path in folder.glob(pattern)}
    return sorted(path for path in found if path.is_file() or (path.is_dir() and path.name == "chat_templates"))


def copy_companions(base: Path, target: Path) -> None:
    """Copy them beside weights; a file that is there already (a method's own) stays."""
    for path in companions(base):
        if (target / path.name).exists():
            continue
        if path.is_dir():
            shutil.copytree(path, target / path.name)
        else:
            shutil.copyfile(path, target / path.name)
