"""Models of 8B and 32B geometry, streamed: peak memory against its forecast and a step against the drive's time.

Run: `python -m tests.bench.large --size 8b --method "ssd_offload I" [--layers 32] [--device cuda] [--folder DIR]`.
Weights are random, the same in each layer. A whole 8B takes 16 GB of drive, and scheme I 32 GB beside it (E 96 GB,
which --layers makes less: memory does not grow with them). `cuda` is the card that there is, or a pretended one of 4 GB
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
from tests.bench import offload
from tests.bench.streamed_memory import METHOD_SETTINGS, forecast

SIZES = {
    # name: layers, hidden, ffn, heads, key-value heads, vocabulary
    "8b": (32, 4096, 14336, 32, 8, 128256),
    "32b": (64, 5120, 27648, 40, 8, 152064),
}


def main() -> None:
    """One row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="8b", choices=list(SIZES))
    parser.add_argument("--method", default="ssd_offload I", choices=list(METHOD_SETTINGS))
    parser.add_argument("--layers", type=int, help="fewer than there are")
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    method = METHOD_SETTINGS[options.method]
    layers, *others = SIZES[options.size]
    offload.SIZES[options.size] = (options.layers or layers, *others)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        model = make_model(folder / options.size, options.size)
        speeds = measure_drive(folder)
        how = {"steps": options.steps, "length": options.length, "threads": options.threads, "device": options.device}
        found = offload.side(folder, options.size, method, **how)
        read, written = offload.passed(found)
        offload.tell(
            f"{options.size} {options.method}",
            device=options.device,
            numbers=found["numbers"],
            length=options.length,
            losses=found["losses"],
            forecast=forecast(model, method, options.length, "bf16", options.device),
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
    from transformers import LlamaForCausalLM

    config = offload.llama(size, tie_word_embeddings=False, dtype="bfloat16", architectures=["LlamaForCausalLM"])
    with init_empty_weights():
        shapes = {name: tensor.shape for name, tensor in LlamaForCausalLM(config).state_dict().items()}
    config.save_pretrained(folder)
    draw = torch.Generator().manual_seed(0)
    files: dict[str, str] = {}
    one: dict[str, torch.Tensor] = {}
    for at in range(config.num_hidden_layers):
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


if __name__ == "__main__":
    main()
