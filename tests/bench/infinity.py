"""Streamed training against DeepSpeed ZeRO-Infinity on NVMe with the CPU accelerator (row O1 of PERFORMANCE.md).

Run: `python -m tests.bench.infinity --peer PYTHON_OF_THE_PEER [--folder DIR] [--length 256] [--repeats 2]`. How to set
the peer up: peers/deepspeed.txt. First some settings of the peer on short rows, where the drive decides; then its
quickest one and ours in turns, one thread a side: ours with exact clipping, which the peer has as well, and with our
default, by the norm of the step before; each with no weights in memory, and with some, since the peer's settings keep
more in memory to move less as well. Memory is compared with the peer's most sparing setting. A step of ours counts
with the checkpoint after it; the first step of each side counts neither in time nor in bytes (the peer warms up, ours
knows no step before it). Where the processor has no 16-bit arithmetic, the peer's products are done in fp32 for it;
ours does so by itself. Each row prints one JSON line; without a peer there is one that says so.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from studio.machine.drive import measure_drive
from tests.bench.commands import ROOT
from tests.bench.offload import SIZES, make_model, side, streamed, tell

SETTINGS: dict[str, dict[str, Any]] = {
    "default sub-group": {"sub_group": 1e9},
    "small sub-group": {"sub_group": 2e7},
    "smaller sub-group": {"sub_group": 5e6},
    "large requests": {"sub_group": 2e7, "aio": {"block_size": 8 << 20, "queue_depth": 32}},
    "two I/O threads": {"sub_group": 2e7, "aio": {"block_size": 1 << 20, "queue_depth": 32, "intra_op_parallelism": 2}},
    "pipelined": {"sub_group": 2e7, "optimizer": {"pipeline_read": True, "pipeline_write": True}},
    "few buffers": {"sub_group": 2e7, "buffers": 5, "prefetch": 0, "live": 0},
}
_GRAPHS = 0.2
"""GB that ours may keep of activations, of which the peer keeps all."""
_HELD = 0.4
"""GB of layers that stay in memory where some do: what the peak may be, 0.35 of the peer's, still leaves."""
COMMON = {"buffer": 3.3e7, "buffers": 24}


def main() -> None:
    """Settings, then turns, then ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--size", default="m280", choices=list(SIZES))
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    options = parser.parse_args()
    if options.peer is None:
        tell("O1", skipped="no --peer: see tests/bench/peers/deepspeed.txt")
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        compare(Path(name), options)


def compare(folder: Path, options: argparse.Namespace) -> None:
    """All of it in one folder."""
    speeds = measure_drive(folder)
    tell("drive", read=speeds.read, write=speeds.write, both=speeds.both, direct=speeds.is_direct)
    works: dict[str, dict[str, Any]] = {}
    for name, own in SETTINGS.items():
        found = peer(folder, options, {**COMMON, **own}, length=16, steps=2)
        tell("O1 setting", name=name, **({"failed": True} if found is None else _figures(found)))
        if found is not None:
            works[name] = found
    quickest = min(works, key=lambda name: statistics.median(works[name]["seconds"][1:]))
    theirs: list[dict[str, Any]] = []
    ours: dict[tuple[str, str, float], list[dict[str, Any]]] = {
        key: [] for key in itertools.product(("D", "E"), ("exact", "previous"), (0.0, _HELD))
    }
    for _ in range(options.repeats):
        found = peer(folder, options, {**COMMON, **SETTINGS[quickest]}, length=options.length, steps=options.steps)
        assert found is not None
        theirs.append(found)
        for (scheme, clipping, held), runs in ours.items():
            method = {**streamed(scheme, _GRAPHS), "clipping": clipping, "cache_gb": held}
            how = {"steps": options.steps, "length": options.length}
            runs.append(side(folder, options.size, method, **how))
    sparing = min(found["rss"] for found in [*works.values(), *theirs])
    for (scheme, clipping, held), runs in ours.items():
        found = _ratios(runs, theirs, sparing)
        tell(f"O1 {scheme}", clipping=clipping, held_gb=held, setting=quickest, length=options.length, **found)


def peer(
    folder: Path, options: argparse.Namespace, setting: dict[str, Any], *, length: int, steps: int
) -> dict[str, Any] | None:
    """The peer in a process of its own; None where it cannot run with a setting."""
    place = folder / "peer"
    place.mkdir()
    wanted = {
        "folder": str(place),
        "model": str(make_model(folder / options.size, options.size)),
        "length": length,
        "vocabulary": SIZES[options.size][5],
        "steps": steps,
        "setting": setting,
    }
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"}
    command = [str(options.peer), "-m", "tests.bench.sides.deepspeed_side", json.dumps(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    shutil.rmtree(place)
    if done.returncode:
        print(done.stdout[-300:], done.stderr[-500:], flush=True)
        return None
    line = next(line for line in reversed(done.stdout.splitlines()) if line.startswith('{"losses'))
    found: dict[str, Any] = json.loads(line)
    return found


def _figures(found: dict[str, Any]) -> dict[str, float]:
    return {
        "seconds": statistics.median(found["seconds"][1:]),
        "rss": found["rss"],
        "moved": _moved(found, len(found["seconds"]) - 1),
    }


def _moved(found: dict[str, Any], steps: int) -> float:
    return (found["system_read"] + found["system_written"]) / steps


def _ratios(runs: list[dict[str, Any]], theirs: list[dict[str, Any]], sparing: int) -> dict[str, float]:
    """Ours against theirs; theirs without the first step, which only they need for warming up."""
    own = statistics.median(_seconds(run) for run in runs)
    other = statistics.median(statistics.median(run["seconds"][1:]) for run in theirs)
    steps = len(runs[0]["seconds"])
    moved = statistics.mean(runs[0]["moved"][1:])
    pairs = zip(runs[0]["losses"], theirs[0]["losses"], strict=True)
    return {
        "rss": max(run["rss"] for run in runs) / sparing,
        "bytes": moved / _moved(theirs[0], steps - 1),
        "step": own / other,
        "loss_gap": max(abs(a - b) for a, b in pairs),
        "own_seconds": own,
        "own_rss": max(run["rss"] for run in runs),
        "own_bytes_a_number": moved / runs[0]["numbers"],
        "their_seconds": other,
        "their_rss": sparing,
        "their_bytes_a_number": _moved(theirs[0], steps - 1) / runs[0]["numbers"],
    }


def _seconds(run: dict[str, Any]) -> float:
    """The middle step and the checkpoint after it."""
    return statistics.median(run["seconds"][1:]) + statistics.median(run["saving"])


if __name__ == "__main__":
    main()
