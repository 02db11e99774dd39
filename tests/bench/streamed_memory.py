"""Forecast against taken memory of streamed runs on the processor: `python -m tests.bench.streamed_memory`.

Each cell trains three steps in a process of its own, whose anonymous memory beyond what it held before is measured; no
weights and activations are kept in spare memory. Of what may be under way to a drive, a quick one has less: --writes
holds it to so many MB a second, which shows the most. Prints one JSON line a cell and one of them all. About ten
seconds a cell.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from studio.machine.resources import emulates_bf16
from studio.methods import METHODS
from studio.models.facts import read_facts
from studio.planner.calculation import calculated_memory, fullest_batch
from studio.planner.machine import Device
from tests.bench import offload
from tests.unit.planner.samples import spec

SIZES = {
    # name: layers, hidden, ffn, heads, key-value heads, vocabulary
    "narrow": (6, 512, 1408, 8, 4, 20000),
    "middle": (4, 1024, 2816, 16, 8, 12000),
    "broad": (3, 1024, 8192, 16, 8, 12000),
    "wide": (4, 2048, 5632, 32, 4, 12000),
}
METHOD_SETTINGS: dict[str, dict[str, Any]] = {
    **{f"ssd_offload {scheme}": offload.streamed(scheme) for scheme in offload.STATE_BYTES},
    "ssd_offload E by layer": {**offload.streamed("E"), "clipping": "layer"},
    "ssd_offload D exact": {**offload.streamed("D"), "clipping": "exact"},
    "lora": {"key": "lora", "placement": "drive", "cache_gb": 0, "graph_gb": 0},
    "dora": {"key": "lora", "dora": True, "placement": "drive", "cache_gb": 0, "graph_gb": 0},
    "qlora": {"key": "qlora", "placement": "drive", "cache_gb": 0},
}
LENGTHS = (64, 512)


def main() -> None:
    """All cells of one precision."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precision", default="bf16", choices=["bf16", "fp32"])
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--methods", nargs="+", default=list(METHOD_SETTINGS), choices=list(METHOD_SETTINGS))
    parser.add_argument("--writes", type=float, help="MB a second that the drive is held to")
    options = parser.parse_args()
    offload.SIZES.update(SIZES)
    writes = None if options.writes is None else options.writes * 1e6
    errors = []
    with tempfile.TemporaryDirectory() as name:
        for size, method, length in itertools.product(options.sizes, options.methods, LENGTHS):
            said, taken = cell(Path(name), size, METHOD_SETTINGS[method], length, options.precision, writes)
            errors.append(said / taken - 1)
            offload.tell(f"{size} {method} {length}", said=said, taken=taken, error=round(errors[-1], 3))
    sizes = sorted(map(abs, errors))
    offload.tell("all", cells=len(errors), median=statistics.median(sizes), highest=max(errors), lowest=min(errors))


def cell(
    folder: Path, size: str, method: dict[str, Any], length: int, precision: str, writes: float | None = None
) -> tuple[int, int]:
    """Bytes forecast and taken. `writes`: see `offload.side`."""
    taken = offload.side(folder, size, method, steps=3, length=length, precision=precision, writes=writes)["peak"]
    return forecast(folder / size, method, length, precision), taken


def forecast(model: Path, method: dict[str, Any], length: int, precision: str, device: str = "cpu") -> int:
    """Bytes of the device's memory at the fullest moment."""
    rows = (f"train.max_length={length}", "train.batch_size=1", "train.accumulation=1", f"train.precision={precision}")
    draft = spec(*(f"method.{name}={json.dumps(value).strip(chr(34))}" for name, value in method.items()), *rows)
    shapes, kind = read_facts(model).shapes, METHODS.get(method["key"])
    widens = device == "cpu" and emulates_bf16() and kind.widens
    batch = fullest_batch(draft, kind.estimate(draft.method, shapes), None, widens=widens)
    return sum(calculated_memory(draft, shapes, Device(device, device, 1, 1), batch)[1].values())


if __name__ == "__main__":
    main()
