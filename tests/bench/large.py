"""Models of 8B and 32B geometry, streamed: peak memory against its forecast and a step against the drive's time.

Run: `python -m tests.bench.large --size 8b --method I [--layers 32] [--device cuda] [--folder DIR]`. Weights are
random, the same in each layer. A whole 8B takes 16 GB of drive, and scheme I 32 GB beside it (E 96 GB, which --layers
makes less: memory does not grow with them). `cuda` is the card that there is, or a pretended one of 4 GB
(`tests/helpers/card`); on that what is said of time means nothing, and of RAM the card's share is taken off. Prints one
JSON line.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from studio.machine.drive import measure_drive
from studio.machine.resources import emulates_bf16
from studio.methods import METHODS
from studio.models.facts import read_facts
from studio.planner.calculation import calculated_memory, fullest_batch
from studio.planner.machine import Device
from studio.spec.run_spec import RunSpec
from tests.bench import offload
from tests.unit.planner.samples import spec

SIZES = {
    # name: layers, hidden, ffn, heads, key-value heads, vocabulary
    "8b": (32, 4096, 14336, 32, 8, 128256),
    "32b": (64, 5120, 27648, 40, 8, 152064),
}
_ADAPTERS = ("lora", "qlora")


def main() -> None:
    """One row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="8b", choices=list(SIZES))
    parser.add_argument("--method", default="I", choices=[*offload.STATE_BYTES, *_ADAPTERS])
    parser.add_argument("--layers", type=int, help="fewer than there are")
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    layers, *others = SIZES[options.size]
    offload.SIZES[options.size] = (options.layers or layers, *others)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        model = make_model(folder / options.size, options.size)
        speeds = measure_drive(folder)
        how = {"steps": options.steps, "length": options.length, "threads": options.threads, "device": options.device}
        found = offload.side(folder, options.size, _method(options.method), **how)
        read, written = offload.passed(found)
        offload.tell(
            f"{options.size} {options.method}",
            device=options.device,
            numbers=found["numbers"],
            length=options.length,
            losses=found["losses"],
            forecast=_forecast(model, options),
            peak=found["card_peak"] if options.device == "cuda" else found["peak"],
            ram_beside=found["peak"] - found["card_peak"] if options.device == "cuda" else 0,
            bytes_a_number=(read + written) / found["numbers"],
            step_seconds=offload.middle(found),
            drive_seconds=speeds.seconds(read, written),
        )


def make_model(folder: Path, size: str) -> Path:
    """A random Llama in bf16, written layer by layer."""
    import torch
    from accelerate import init_empty_weights
    from safetensors.torch import save_file
    from transformers import LlamaConfig, LlamaForCausalLM

    layers, hidden, ffn, heads, kv_heads, vocabulary = offload.SIZES[size]
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=ffn,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        tie_word_embeddings=False,
        dtype="bfloat16",
        architectures=["LlamaForCausalLM"],
    )
    with init_empty_weights():
        shapes = {name: tensor.shape for name, tensor in LlamaForCausalLM(config).state_dict().items()}
    config.save_pretrained(folder)
    draw = torch.Generator().manual_seed(0)
    files: dict[str, str] = {}
    one: dict[str, torch.Tensor] = {}
    for at in range(layers):
        prefix = f"model.layers.{at}."
        own = {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}
        one = one or {name: _numbers(shape, draw) for name, shape in own.items()}
        save_file({prefix + name: tensor for name, tensor in one.items()}, folder / f"layer-{at}.safetensors")
        files |= {prefix + name: f"layer-{at}.safetensors" for name in one}
    one.clear()
    for at, name in enumerate(name for name in shapes if not name.startswith("model.layers.")):
        save_file({name: _numbers(shapes[name], draw)}, folder / f"end-{at}.safetensors")
        files[name] = f"end-{at}.safetensors"
    index = {"metadata": {}, "weight_map": files}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def _numbers(shape: Any, draw: Any) -> Any:
    """Ones for a norm; else numbers about as large as a model's."""
    import torch

    if len(shape) == 1:
        return torch.ones(shape, dtype=torch.bfloat16)
    return torch.empty(shape, dtype=torch.bfloat16).uniform_(-0.02, 0.02, generator=draw)


def _method(kind: str) -> dict[str, Any]:
    if kind in _ADAPTERS:
        kept = {"graph_gb": 0} if kind == "lora" else {}
        return {"key": kind, "placement": "drive", "cache_gb": 0, **kept}
    return offload.streamed(kind)


def _forecast(model: Path, options: argparse.Namespace) -> int:
    """Of the device's memory, at the fullest moment."""
    settings = (f"method.{name}={json.dumps(value).strip(chr(34))}" for name, value in _method(options.method).items())
    rows = (f"train.max_length={options.length}", "train.batch_size=1", "train.accumulation=1", "train.precision=bf16")
    draft: RunSpec = spec(*settings, *rows)
    shapes, kind = read_facts(model).shapes, METHODS.get(draft.method.key)
    widens = options.device == "cpu" and emulates_bf16() and kind.widens
    batch = fullest_batch(draft, kind.estimate(draft.method, shapes), None, widens=widens)
    device = Device(options.device, options.device, 1, 1)
    return sum(calculated_memory(draft, shapes, device, batch)[1].values())


if __name__ == "__main__":
    main()
