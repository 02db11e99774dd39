"""The files that make up a tokenizer: which there are, what they say. Nothing is tokenised here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.errors import UserError
from studio.models.facts import read_json
from studio.paths import cache_dir


@dataclass(frozen=True)
class TokenizerFiles:
    """What a folder says of its tokenizer.

    Attributes:
        tokenizer_json: the fast tokenizer's whole definition.
        special_tokens: `bos_token` and the like -> spelling.
        templates: name -> jinja source; "default" is the chat template, "tool_use" one for tools.
        eos_ids: ids that end generation, from generation_config.json and config.json.
    """

    tokenizer_json: str
    special_tokens: Mapping[str, str]
    templates: Mapping[str, str]
    eos_ids: tuple[int, ...]


def read(folder: Path) -> TokenizerFiles:
    """Read them.

    Raises:
        UserError: there is no tokenizer, or a file of it is damaged.
    """
    if not (folder / "tokenizer.json").is_file():
        folder = _converted(folder)
    config = _optional(folder / "tokenizer_config.json")
    return TokenizerFiles(
        tokenizer_json=_text(folder / "tokenizer.json"),
        special_tokens=_special_tokens(folder, config),
        templates=_templates(folder, config),
        eos_ids=_eos_ids(folder),
    )


def _converted(folder: Path) -> Path:
    """A fast tokenizer made once from a folder that holds only sentencepiece or vocabulary files."""
    sources = [folder / name for name in ("tokenizer.model", "spiece.model", "vocab.json", "merges.txt", "vocab.txt")]
    sources = [path for path in sources if path.is_file()]
    if not sources:
        raise UserError(f"{folder.name} has no tokenizer: no tokenizer.json.", "Choose a complete model folder.")
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:24]
    target = cache_dir() / "tokenizers" / digest
    if not (target / "tokenizer.json").is_file():
        _convert(folder, target)
    return target


def _convert(folder: Path, target: Path) -> None:
    from transformers import AutoTokenizer  # heavy

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
        tokenizer.save_pretrained(str(target))
        for name in ("config.json", "generation_config.json"):
            if (folder / name).is_file():
                (target / name).write_bytes((folder / name).read_bytes())
    except Exception as error:
        # The converter raises whatever its parsers raise; the folder is what is wrong, not this program.
        raise UserError(
            f"The tokenizer of {folder.name} cannot be converted: {str(error)[:300]}",
            "Take an edition of the model that has a tokenizer.json.",
        ) from error


def _special_tokens(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    merged = {**_optional(folder / "special_tokens_map.json"), **config}
    found = {name: _spelling(value) for name, value in merged.items() if name.endswith("_token")}
    model_specific = config.get("model_specific_special_tokens") or config.get("extra_special_tokens")
    if isinstance(model_specific, dict):
        found.update({name: _spelling(value) for name, value in model_specific.items()})
    return {name: value for name, value in found.items() if value}


def _spelling(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else ""


def _templates(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """All templates, newest place first: chat_template.jinja, the old JSON file, tokenizer_config.json."""
    templates = _named_templates(_optional(folder / "chat_template.json").get("chat_template"))
    templates = templates or _named_templates(config.get("chat_template"))
    if (folder / "chat_template.jinja").is_file():
        templates["default"] = _text(folder / "chat_template.jinja")
    for path in sorted((folder / "additional_chat_templates").glob("*.jinja")):
        templates[path.stem] = _text(path)
    return templates


def _named_templates(value: Any) -> dict[str, str]:
    if isinstance(value, str):
        return {"default": value}
    entries = value if isinstance(value, list) else []
    return {
        str(entry["name"]): entry["template"]
        for entry in entries
        if isinstance(entry, dict) and "name" in entry and isinstance(entry.get("template"), str)
    }


def _eos_ids(folder: Path) -> tuple[int, ...]:
    for name in ("generation_config.json", "config.json"):
        value = _optional(folder / name).get("eos_token_id")
        ids = value if isinstance(value, list) else [value]
        ids = [token for token in ids if isinstance(token, int)]
        if ids:
            return tuple(ids)
    return ()


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path, "") if path.is_file() else {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}.", "Download the model again.") from error


def definition(files: TokenizerFiles) -> dict[str, Any]:
    """The tokenizer's JSON, for those who look at its parts (the exporter)."""
    value: dict[str, Any] = json.loads(files.tokenizer_json)
    return value
