"""Streamed training against its own formulas and against training in memory (rows O2 to O8 of PERFORMANCE.md).

Run: `python -m tests.bench.offload [--size m280] [--schemes CDEFI] [--folder DIR]`. Each row prints one JSON line.
Folder: on the drive to be measured; the bench measures the drive's bandwidth itself, before each scheme and after it.
With `--precision fp32` weights are read with what is missing to fp32, twice in a step. A model of a billion numbers is
not trained in memory beside it. Row O1 (DeepSpeed ZeRO-Infinity) is `python -m tests.bench.infinity`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from studio.data.batches import Batch
from studio.machine.drive import DriveSpeeds, measure_drive
from studio.machine.resources import read_gpus
from tests.bench.sides.tokens import token_rows

STATE_BYTES = {"C": 10.0, "D": 6.0, "E": 4 + 2 * 4 / 256, "F": 3 + 2 * 4 / 256, "I": 0.0}
SIZES = {
    # name: layers, hidden, ffn, heads, key-value heads, vocabulary
    "tiny": (1, 64, 128, 4, 2, 1000),  # only to warm up
    "small": (6, 512, 1408, 8, 4, 20000),
    "small2x": (12, 512, 1408, 8, 4, 20000),
    "m280": (20, 1024, 2816, 16, 8, 32000),
    "m1b": (22, 2048, 5632, 32, 4, 32000),
}
LENGTH = 256


def main() -> None:
    """All rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="m280", choices=["small", "m280", "m1b"])
    parser.add_argument("--schemes", default="".join(STATE_BYTES))
    parser.add_argument("--length", type=int, default=LENGTH)
    parser.add_argument("--precision", default="bf16", choices=["bf16", "fp32"])
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--graphs", type=float, default=0, help="GB of activations that may stay in memory")
    parser.add_argument("--inputs", default="auto", choices=["auto", "drive"], help="where layer inputs wait")
    parser.add_argument("--threads", type=int, default=1, help="of each side's arithmetic")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        tell_drive(measure_drive(folder))
        how = {"steps": options.steps, "length": options.length, "precision": options.precision}
        how["threads"] = options.threads
        resident = side(folder, options.size, {"key": "full"}, **how) if options.size != "m1b" else None
        for scheme in options.schemes:
            before = measure_drive(folder)
            ours = side(folder, options.size, streamed(scheme, options.graphs, options.inputs), **how)
            speeds = [before, measure_drive(folder)]
            compare(options.size, scheme, speeds, ours, resident, precision=options.precision)
        if resident is not None:
            accumulate(folder, options.size, options.length)
            flat(folder, options.steps)


def tell_drive(speeds: DriveSpeeds) -> None:
    """What the drive gives."""
    tell("drive", read=speeds.read, write=speeds.write, both=speeds.both, direct=speeds.is_direct)


def compare(
    size: str,
    scheme: str,
    speeds: list[DriveSpeeds],
    found: dict[str, Any],
    resident: dict[str, Any] | None,
    *,
    precision: str,
) -> None:
    """Bytes against the formula, time against the floor, memory against the weights, losses against memory."""
    read, written = passed(found)
    numbers, state = found["numbers"], STATE_BYTES[scheme]
    exact = 4.0 if precision == "fp32" and state else 0.0  # what is missing to fp32, up and down
    floor = statistics.mean(drive.seconds(read, written) for drive in speeds)
    seconds = middle(found)
    tell(
        f"O2-O5 {scheme}",
        model=size,
        numbers=numbers,
        bytes_to_formula=(read + written) / (numbers * (6 + 2 * state + exact)),
        system_to_own_bytes=(found["system_read"] + found["system_written"]) / (found["read"] + found["written"]),
        peak_to_weights=found["peak"] / (2 * numbers),
        step_seconds=seconds,
        drive_floor_seconds=floor,
        waited_share=found["waited"] / sum(found["seconds"]),
        checkpoint_to_step=statistics.median(found["saving"]) / seconds,
        **({} if resident is None else _beside(found, resident, seconds, floor)),
    )


def _beside(found: dict[str, Any], resident: dict[str, Any], seconds: float, floor: float) -> dict[str, float]:
    compute = middle(resident)
    return {
        "resident_peak_to_weights": resident["peak"] / (2 * found["numbers"]),
        "resident_step_seconds": compute,
        "step_to_floor": seconds / max(floor, compute),
        "loss_gap": max(abs(a - b) for a, b in zip(found["losses"], resident["losses"], strict=True)),
    }


def accumulate(folder: Path, size: str, length: int) -> None:
    """Eight micro-batches read the weights as often as one."""
    one, eight = (side(folder, size, streamed("D"), steps=2, accumulation=n, length=length // 4) for n in (1, 8))
    tell("O6", eight_to_one_bytes=sum(passed(eight)) / sum(passed(one)))


def flat(folder: Path, steps: int) -> None:
    """Twice the layers take the same memory, inputs of the layers aside."""
    once, twice = (side(folder, size, streamed("E"), steps=steps) for size in ("small", "small2x"))
    inputs = 6 * LENGTH * 512 * 4
    tell("O2 flat", once=once["peak"], twice=twice["peak"], ratio=(twice["peak"] - inputs) / once["peak"])


def streamed(scheme: str, graph_gb: float = 0, inputs: str = "auto") -> dict[str, Any]:
    """With no weights kept in memory, and so much of activations."""
    return {"key": "ssd_offload", "scheme": scheme, "cache_gb": 0, "graph_gb": graph_gb, "layer_inputs": inputs}


def side(
    folder: Path,
    size: str,
    method: dict[str, Any],
    *,
    steps: int,
    accumulation: int = 1,
    precision: str = "bf16",
    length: int = LENGTH,
    writes: float | None = None,
    threads: int = 1,
    device: str = "cpu",
) -> dict[str, Any]:
    """Train in a process of its own and return what it measured.

    Args:
        writes: bytes a second that the drive is held to; None for what it can.
        device: "cuda" where there is a card, or else on a pretended one.
    """
    model = make_model(folder / size, size)
    wanted = {
        "folder": str(folder / "side"),
        "model": str(model),
        "method": method,
        "rows": 1,
        "length": length,
        "writes": writes,
        "vocabulary": SIZES[size][5],
        "device": device,
        "train": {"steps": steps, "accumulation": accumulation, "precision": precision, "learning_rate": 1e-4},
    }
    tiny = make_model(folder / "tiny", "tiny")
    warm = {**wanted, "model": str(tiny), "folder": str(folder / "warm"), "vocabulary": SIZES["tiny"][5]}
    wanted["warm"] = {**warm, "train": {**wanted["train"], "steps": 1}}
    for name in ("side", "warm"):
        (folder / name).mkdir(exist_ok=True)
    pretended = ["tests.helpers.card"] if device == "cuda" and not read_gpus() else []
    command = [sys.executable, "-m", *pretended, "tests.bench.sides.streamed", json.dumps(wanted)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def make_model(folder: Path, size: str) -> Path:
    """A random Llama in bf16, made once."""
    if (folder / "config.json").is_file():
        return folder
    import torch
    from transformers import LlamaForCausalLM

    torch.manual_seed(0)
    LlamaForCausalLM(llama(size)).to(torch.bfloat16).save_pretrained(folder)
    return folder


def llama(size: str, **more: Any) -> Any:
    """The configuration of a size; tied, unless `more` says something else."""
    from transformers import LlamaConfig

    layers, hidden, ffn, heads, kv_heads, vocabulary = SIZES[size]
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=ffn,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        **{"tie_word_embeddings": True, **more},
    )


def token_batches(rows: int, length: int, vocabulary: int) -> Iterator[Batch]:
    """Endless random rows, the same for every side."""
    for ids in token_rows(rows, length, vocabulary):
        labels = ids.copy()
        labels[:, 0] = -100
        positions = np.tile(np.arange(length, dtype=np.int64), (rows, 1))
        yield Batch(ids, labels, positions, np.ones_like(ids, dtype=bool), False, ids.size, rows * (length - 1), ())


def passed(found: dict[str, Any]) -> tuple[float, float]:
    """Bytes read and written in the median step; not in the first one, whose gradients wait for their length."""
    read, written = zip(*found["passed"][1:], strict=True)
    return statistics.median(read), statistics.median(written)


def middle(found: dict[str, Any]) -> float:
    """The median step; the first one, which warms up, left out."""
    return statistics.median(found["seconds"][1:])


def tell(row: str, **values: Any) -> None:
    """One JSON line."""
    print(json.dumps({"id": row, **values}), flush=True)


if __name__ == "__main__":
    main()
