"""Facts of a model folder, read from its config and safetensors headers: no torch, milliseconds."""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.errors import UserError
from studio.models.arithmetic import Shapes, measure, number


@dataclass(frozen=True)
class ModelFacts:
    """What can be known of a model without loading it.

    Attributes:
        folder: where it lies.
        architecture: the first entry of `architectures` ("LlamaForCausalLM"), "" when not said.
        num_parameters: numbers stored in its safetensors files.
        weight_bytes: bytes they take on disk.
        context_length: positions it was made for, 0 when not said.
        num_layers, hidden_size, vocab_size: 0 when not said.
        has_tokenizer, has_chat_template: whether the folder brings them.
        config: the whole config, text part (multi-modal configs nest it).
        shapes: what memory and time are calculated from.
        is_bf16: whether its matrices are.
    """

    folder: Path
    architecture: str
    num_parameters: int
    weight_bytes: int
    context_length: int
    num_layers: int
    hidden_size: int
    vocab_size: int
    has_tokenizer: bool
    has_chat_template: bool
    config: dict[str, Any]
    shapes: Shapes
    is_bf16: bool = True


def read_facts(folder: Path) -> ModelFacts:
    """Read a model folder's facts.

    Raises:
        UserError: no config, a damaged one, no usable weights.
    """
    config = read_json(folder / "config.json", "This is not a model folder: it has no config.json.")
    names = {path.name for path in folder.iterdir()}
    return facts_of(folder, config, tensor_headers(folder), names, _tokenizer_config(folder))


def facts_of(
    folder: Path,
    config: dict[str, Any],
    headers: Mapping[str, Mapping[str, Any]],
    names: Collection[str],
    tokenizer_config: Mapping[str, Any],
) -> ModelFacts:
    """Facts from a model's parts, wherever they were read.

    Args:
        headers: name -> {shape, data_offsets, ...} of every tensor.
        names: of the files beside them.
    """
    text = config.get("text_config") if isinstance(config.get("text_config"), dict) else config
    assert isinstance(text, dict)
    return ModelFacts(
        folder=folder,
        architecture=_architecture(config),
        num_parameters=sum(_count(header["shape"]) for header in headers.values()),
        weight_bytes=sum(header["data_offsets"][1] - header["data_offsets"][0] for header in headers.values()),
        context_length=number(text, "max_position_embeddings", "n_positions"),
        num_layers=number(text, "num_hidden_layers", "n_layer"),
        hidden_size=number(text, "hidden_size", "n_embd"),
        vocab_size=number(text, "vocab_size"),
        has_tokenizer=not {"tokenizer.json", "tokenizer.model", "vocab.json"}.isdisjoint(names),
        has_chat_template="chat_template.jinja" in names or "chat_template" in tokenizer_config,
        config=config,
        shapes=measure({name: header["shape"] for name, header in headers.items()}, config),
        is_bf16=all(header["dtype"] == "BF16" for header in headers.values() if len(header["shape"]) > 1),
    )


def tensor_headers(folder: Path) -> dict[str, dict[str, Any]]:
    """Name -> {dtype, shape, data_offsets, file} of every tensor in the folder's safetensors files.

    Raises:
        UserError: no safetensors, a missing shard, a damaged header, or only pickled weights.
    """
    headers: dict[str, dict[str, Any]] = {}
    for path in weight_files(folder):
        for name, header in read_safetensors_header(path).items():
            headers[name] = {**header, "file": path.name}
    return headers


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder, in order.

    Raises:
        UserError: there are none, or shards that the index names are missing.
    """
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = _shards(index)
        missing = [shard for shard in shards if not (folder / shard).is_file()]
        if missing or not shards:
            have = len(shards) - len(missing)
            raise UserError(
                f"The model's files are incomplete: {have} of {len(shards)} weight files are there.",
                f"Download it again; missing: {', '.join(missing[:3]) or 'all'}.",
            )
        return [folder / shard for shard in shards]
    files = sorted(folder.glob("*.safetensors"))
    if files:
        return files
    if any(folder.glob("*.bin")) or any(folder.glob("*.pt")) or any(folder.glob("*.pth")):
        raise UserError(
            f"{folder.name} holds only pickled weights (.bin, .pt), which can run code when they are opened.",
            "Convert them to safetensors, or take a copy of the model that has them.",
        )
    raise UserError(f"{folder.name} has no weights: no .safetensors file is in it.", "Choose a complete model folder.")


def read_safetensors_header(path: Path) -> dict[str, dict[str, Any]]:
    """The header of one safetensors file, without `__metadata__`.

    Raises:
        UserError: the file is cut off or is no safetensors file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > min(size - 8, 100_000_000):
            raise UserError(f"{path.name} is damaged or cut off: its header does not fit.", "Download it again.")
        try:
            header = json.loads(file.read(length))
        except ValueError as error:
            raise UserError(f"{path.name} is no safetensors file: its header is not readable.") from error
    if not isinstance(header, dict):
        raise UserError(f"{path.name} is no safetensors file: its header is no table of tensors.")
    header.pop("__metadata__", None)
    if not all(_is_tensor(entry) for entry in header.values()):
        raise UserError(f"{path.name} is damaged: its header has no shape or place for a tensor.", "Download it again.")
    end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if 8 + length + end > size:
        raise UserError(
            f"{path.name} is cut off: {size} of {8 + length + end} bytes are there.", "Download the model again."
        )
    return dict(header)


def read_json(path: Path, missing: str) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        UserError: it is not there (`missing` says what that means), or is no JSON object.
    """
    if not path.is_file():
        raise UserError(missing or f"{path.name} is missing.", f"Looked in {path.parent}.")
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise UserError(f"{path} is damaged: it is not readable as JSON ({error}).") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} should hold a JSON object, it holds a {type(value).__name__}.")
    return value


def _is_tensor(entry: Any) -> bool:
    """Whether a header entry says type, shape and place."""
    if not isinstance(entry, dict) or not isinstance(entry.get("dtype"), str):
        return False
    shape, place = entry.get("shape"), entry.get("data_offsets")
    if not isinstance(shape, list) or not isinstance(place, list) or len(place) != 2:
        return False
    return all(isinstance(number, int) and number >= 0 for number in [*shape, *place])


def _shards(index: Path) -> list[str]:
    """The weight files an index names, in order.

    Raises:
        UserError: it is damaged, or names files outside its folder.
    """
    names = read_json(index, "").get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise UserError(
            f"{index.name} is damaged: it does not say which file holds which tensor.", "Download it again."
        )
    shards = sorted(set(names.values()))
    if any(Path(shard).name != shard or "\\" in shard for shard in shards):
        raise UserError(f"{index.name} names files outside the model's folder.", "Take the model from another place.")
    return shards


def _architecture(config: dict[str, Any]) -> str:
    names = config.get("architectures")
    return str(names[0]) if isinstance(names, list) and names else ""


def _count(shape: list[int]) -> int:
    total = 1
    for length in shape:
        total *= length
    return total


def _tokenizer_config(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    return read_json(path, "") if path.is_file() else {}
