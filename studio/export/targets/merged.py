"""A full model folder: merged safetensors in shards, with everything that makes it a model."""

from __future__ import annotations

import json
from pathlib import Path

from studio.errors import Cancelled
from studio.export.description import describe
from studio.export.merge import open_tensors
from studio.export.model_card import model_card
from studio.export.quant_types import QuantType
from studio.export.shards import SHARD_BYTES, ShardWriter, split_into_shards
from studio.export.target import Output, Target, Watch
from studio.export.tensors import num_bytes
from studio.models.companions import companions
from studio.models.facts import tensor_headers
from studio.project.tuned import Tuned

_DESCRIBED = 4 << 10  # config and model card
_HEADER = 128  # a tensor's name, shape and place


def plan(tuned: Tuned, folder: Path, stem: str, quants: list[QuantType]) -> list[Output]:
    """One folder, as large as the base: its tensors, and what travels along."""
    headers = tensor_headers(tuned.base)
    files = [path for found in companions(tuned.base) for path in (found.rglob("*") if found.is_dir() else [found])]
    beside = sum(path.stat().st_size for path in files if path.is_file())
    described = _DESCRIBED + _HEADER * len(headers)
    return [Output(folder / f"{stem}-merged", sum(map(num_bytes, headers.values())) + beside + described)]


def write(tuned: Tuned, output: Output, watch: Watch, path: Path) -> None:
    """Write shard after shard, merging each tensor when its turn comes."""
    source = open_tensors(tuned.base, tuned.weights)
    path.mkdir()
    describe(tuned, path, source.config_changes)
    shards = split_into_shards(source.headers, SHARD_BYTES)
    tensors = {name: num_bytes(header) for headers in shards for name, header in headers.items()}
    total, done, where = sum(tensors.values()), 0, {}
    watch.on_tensors(tensors)
    for number, headers in enumerate(shards, start=1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors" if len(shards) > 1 else "model.safetensors"
        with ShardWriter(path / name, headers) as shard:
            for tensor in headers:
                if watch.is_cancelled():
                    raise Cancelled
                watch.on_progress(done, total, tensor)
                shard.write(source.load(tensor))
                done += num_bytes(headers[tensor])
                where[tensor] = name
    if len(shards) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": where}
        (path / "model.safetensors.index.json").write_text(json.dumps(index, indent=2), encoding="utf-8")
    source.assert_effect()
    (path / "README.md").write_text(model_card(tuned, "transformers"), encoding="utf-8")
    watch.on_progress(total, total, "")


TARGET = Target(
    key="merged",
    title="Merged model",
    summary="A full model folder for transformers, vLLM and others.",
    plan=plan,
    write=write,
)
