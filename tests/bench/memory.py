"""Calculated against measured memory: `python -m tests.bench.memory [--quick] [--mixtures] [--keep]`.

Every cell trains two real steps on a random model and counts the bytes of every tensor that lives (tracked). Some
cells run in a process of their own, whose high-water mark is compared as well. Mixtures of experts are a table of
their own, `--mixtures` that table alone. Peers' rules of thumb stand beside.
Prints the grid, the worst cells, published tables and one JSON line a figure. Errors that have grown since the baseline
beside this file was kept are named, and the exit code is 1; `--keep` writes a new baseline down. `--cells FILE` keeps
what was measured there: a bench that was stopped goes on, and one after a change of the arithmetic measures nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import json
import os
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from studio.methods import METHODS
from studio.models.facts import ModelFacts, read_facts
from studio.planner.activations import MicroBatch
from studio.planner.calculation import calculated_memory, fullest_batch
from studio.planner.forecast import forecast
from studio.planner.machine import Device
from studio.spec.run_spec import RunSpec
from tests.bench.published import TABLES, figures, torchtune, torchtune_as_ours
from tests.helpers.toy_models import make_toy
from tests.unit.planner.samples import machine, spec

BASELINE = Path(__file__).with_name("memory_baseline.json")
CPU = Device("cpu", "cpu", 10**12, 10**12)
SIZES = {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 6, "max_position_embeddings": 4096}
FAMILIES = {"llama": {"vocab_size": 8000}, "qwen3": {"vocab_size": 20_000}, "gemma3": {"vocab_size": 12_000}}
_EXPERTS = {"moe_intermediate_size": 96, "num_experts_per_tok": 4}
# The second kind has a dense layer, experts that every token goes through, and latent attention. Its layers are of one
# size, because two steps do not show every layer's turn.
MIXTURES: dict[str, dict[str, int]] = {
    "qwen3_moe": {"vocab_size": 8000, "num_experts": 16, **_EXPERTS},
    "deepseek_v3": {
        "vocab_size": 12_000,
        "intermediate_size": 1728,
        "n_routed_experts": 16,
        "q_lora_rank": 96,
        "kv_lora_rank": 64,
        "qk_rope_head_dim": 32,
        "qk_nope_head_dim": 32,
        "v_head_dim": 48,
        **_EXPERTS,
    },
}
METHOD_KEYS = (
    "lora",
    "qlora",
    "full",
    "lisa",
    "freeze",
    "badam",
    "hft",
    "ist",
    "galore",
    "lift",
    "mezo",
    "miss",
    "s2ft",
)
# IST keeps the optimizer state of all adapters, which on experts is much, and comes to it turn by turn.
MIXTURE_KEYS = tuple(key for key in METHOD_KEYS if key != "ist")
LENGTHS, BATCHES = (64, 256, 768), (1, 3)
WAYS = ((), ("train.precision=fp32",), ("train.activation_checkpointing=true",))
PROCESS_CELLS = [(method, length) for method in ("lora", "full", "lisa", "qlora") for length in (128, 512)]
SLACK = {"tracked": 0.01, "mixtures": 0.01, "process": 0.03}  # tracked bytes repeat exactly; a process's mark does not


@dataclass(frozen=True)
class Cell:
    """One comparison, in bytes."""

    name: str
    calculated: int
    measured: int
    parameters: int
    method: str

    @property
    def error(self) -> float:
        """Of what was measured; negative is too little."""
        return self.calculated / self.measured - 1


# Peers' rules as their documents state them: bytes from the number of parameters alone. None: they do not say.
PEERS: dict[str, Callable[[Cell], float | None]] = {
    "LLaMA-Factory's table": lambda cell: {"full": 18.0, "qlora": 0.5}.get(cell.method, 2.0) * cell.parameters,
    "accelerate's x4 of fp32": lambda cell: 16.0 * cell.parameters if cell.method == "full" else None,
    "DeepSpeed's 18 bytes": lambda cell: 18.0 * cell.parameters if cell.method == "full" else None,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="one family, two lengths, no processes")
    parser.add_argument("--mixtures", action="store_true", help="mixtures of experts, nothing else")
    parser.add_argument("--keep", action="store_true", help="write the errors down as the baseline")
    parser.add_argument("--cells", type=Path, help="a file for measured bytes, read and added to")
    parser.add_argument(
        "--process", nargs=3, metavar=("MODEL", "METHOD", "LENGTH"), help="one cell, for the bench itself"
    )
    options = parser.parse_args()
    if options.process:
        _process_cell(*options.process)
        return
    warnings.filterwarnings("ignore")
    seen = Seen(options.cells)
    has_dense, has_all = not options.mixtures, not options.quick
    with TemporaryDirectory() as folder:
        processes = [_told(cell) for cell in _processes(Path(folder), seen)] if has_dense and has_all else []
        tracked = [_told(cell) for cell in _tracked(Path(folder), seen, quick=options.quick)] if has_dense else []
        mixtures = [_told(cell) for cell in _mixtures(Path(folder), seen)] if has_all else []
    report = {"mixtures": _summary(mixtures)}
    if has_dense:
        report |= {
            "tracked": _summary(tracked),
            "process": _summary(processes),
            "peers": {name: _peer(rule, tracked) for name, rule in PEERS.items()},
            "published": _published(),
        }
    cells = {cell.name: round(cell.error, 4) for cell in [*tracked, *mixtures, *processes]}
    _print([*tracked, *mixtures], report)
    grown = _grown(report, cells)
    print("\n".join(["", "Worse than the baseline:", *grown] if grown else ["", "No worse than the baseline."]))
    if options.keep:
        _keep(report, cells)
    elif grown:
        sys.exit(1)


def _keep(report: dict[str, Any], cells: dict[str, float]) -> None:
    """Write the errors down; tables that were not asked for stay as they are."""
    known = json.loads(BASELINE.read_text(encoding="utf-8"))
    known |= {part: found for part, found in report.items() if found}
    known["cells"] |= cells
    BASELINE.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


class Seen(dict[str, int]):
    """Cell -> measured bytes; what is added is also written down where there is a file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path and path.is_file() else []
        super().__init__((line.rpartition("\t")[0], int(line.rpartition("\t")[2])) for line in lines)

    def __setitem__(self, name: str, measured: int) -> None:
        super().__setitem__(name, measured)
        if self._path:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{name}\t{measured}\n")


def toy_facts(folder: Path, family: str) -> ModelFacts:
    """Of the grid's model of a family, made anew."""
    return read_facts(make_toy(folder / family, family, **{**SIZES, **(FAMILIES | MIXTURES)[family]}))


def _tracked(folder: Path, seen: Seen, *, quick: bool) -> Iterator[Cell]:
    families = list(FAMILIES)[:1] if quick else list(FAMILIES)
    return _grid(folder, families, METHOD_KEYS, LENGTHS[: 2 if quick else 3], seen)


def _mixtures(folder: Path, seen: Seen) -> Iterator[Cell]:
    return _grid(folder, list(MIXTURES), MIXTURE_KEYS, LENGTHS, seen)


def _grid(
    folder: Path, families: list[str], methods: Sequence[str], lengths: Sequence[int], seen: Seen
) -> Iterator[Cell]:
    for family in families:
        known = toy_facts(folder, family)
        for method, length, batch in itertools.product(methods, lengths, BATCHES):
            yield tracked_cell(known, family, method, length, batch, seen)


def tracked_cell(
    known: ModelFacts, family: str, method: str, length: int, batch: int, seen: MutableMapping[str, int] | None = None
) -> Cell:
    """Calculated and measured bytes of one cell of the grid; which way it trains goes by its place.

    Args:
        seen: what was measured before; what is measured now is added.
    """
    way = WAYS[(length + batch) % len(WAYS)]
    draft = spec(f"method.key={method}", f"train.max_length={length}", f"train.batch_size={batch}", *way)
    micro = fullest_batch(draft, METHODS.get(method).estimate(draft.method, known.shapes), None)
    calculated = sum(calculated_memory(draft, known.shapes, CPU, micro)[1].values())
    how = way[0].removeprefix("train.") if way else "bf16"
    name, seen = f"{family} {method} {batch}x{length} {how}", {} if seen is None else seen
    if name not in seen:
        seen[name] = _measured(draft, known, micro)
    return Cell(name, calculated, seen[name], known.num_parameters, method)


def _measured(draft: RunSpec, known: ModelFacts, micro: MicroBatch) -> int:
    from studio.engine.probe import Probe, measure
    from tests.bench.sides.quick_products import QuickProducts

    with contextlib.redirect_stderr(io.StringIO()), QuickProducts():
        return sum(measure(Probe(draft, known, micro.tokens, micro.longest), "cpu").values())


def _processes(folder: Path, seen: Seen) -> Iterator[Cell]:
    """Larger models, each in a process of its own: its high-water mark against the whole forecast."""
    sizes = {**SIZES, "hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 8, "vocab_size": 8000}
    known = read_facts(make_toy(folder / "larger", **sizes))
    for method, length in PROCESS_CELLS:
        draft = spec(f"method.key={method}", f"train.max_length={length}", "train.batch_size=1")
        calculated = forecast(draft, known, machine()).peak_bytes
        name = f"process {method} 1x{length}"
        if name not in seen:
            seen[name] = _process_bytes(known, method, length)
        yield Cell(name, calculated, seen[name], known.num_parameters, method)


def _process_bytes(known: ModelFacts, method: str, length: int) -> int:
    command = [sys.executable, "-m", "tests.bench.memory", "--process", str(known.folder), method, str(length)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return int(json.loads(said.stdout.splitlines()[-1])["bytes"])


def _process_cell(model: str, method: str, length: str) -> None:
    """From the first step on: while a model is loaded, pages of its file count that the system can take back."""
    import torch

    from studio.engine import probe
    from studio.worker.lessons import peak_bytes

    step, mark = probe._step, Path("/proc/self/clear_refs")

    def marked(loop: Any, number: int, tracker: Any) -> None:
        if number == 1 and mark.exists():
            mark.write_text("5")  # Linux: the high-water mark begins again
        step(loop, number, tracker)

    draft = spec(f"method.key={method}", f"train.max_length={length}", "train.batch_size=1")
    with patch.object(probe, "_step", marked):
        probe.measure(probe.Probe(draft, read_facts(Path(model)), int(length), int(length)), "cpu")
    print(json.dumps({"bytes": peak_bytes(torch.device("cpu"))}))


def _summary(cells: list[Cell]) -> dict[str, Any]:
    if not cells:
        return {}
    errors = [cell.error for cell in cells]
    return {
        "cells": len(cells),
        "median": round(statistics.median(map(abs, errors)), 4),
        "worst": round(max(map(abs, errors)), 4),
        "lowest": round(min(errors), 4),
    }


def _peer(rule: Callable[[Cell], float | None], cells: list[Cell]) -> dict[str, Any]:
    errors = [abs(said / cell.measured - 1) for cell in cells if (said := rule(cell)) is not None]
    return {"cells": len(errors), "median": round(statistics.median(errors), 4), "worst": round(max(errors), 4)}


def _published() -> dict[str, Any]:
    """Each published table: our median and worst error; for torchtune's the cells, with Unsloth Studio's estimator."""
    unsloth = (8.24, 17.18, 4.63, 8.30)
    steps = [row.ours for row in torchtune_as_ours()]
    cells = {
        row.name: {
            "published": row.published,
            "ours": round(row.ours, 2),
            "in our steps": round(own, 2),
            "unsloth": said,
        }
        for row, own, said in zip(torchtune(), steps, unsloth, strict=True)
    }
    peer = [abs(cell["unsloth"] / cell["published"] - 1) for cell in cells.values()]
    found = {name: figures([abs(row.error) for row in table()]) for name, table in TABLES.items()}
    return {**found, "torchtune cells": cells, "Unsloth Studio's estimator on them": figures(peer)}


def _grown(report: dict[str, Any], cells: dict[str, float]) -> list[str]:
    """What is worse than the baseline that is kept beside this file."""
    known = json.loads(BASELINE.read_text(encoding="utf-8"))
    words = [
        f"{part} {name}: {report[part][name]:.4f}, was {known[part][name]:.4f}"
        for part in ("tracked", "mixtures", "process")
        for name in ("median", "worst")
        if report.get(part) and part in known and report[part][name] > known[part][name] + SLACK[part]
    ]
    return words + [
        f"{name}: {error:+.1%}, was {known['cells'][name]:+.1%}"
        for name, error in cells.items()
        if name in known["cells"] and not name.startswith("process") and is_worse(error, known["cells"][name])
    ]


def is_worse(error: float, before: float) -> bool:
    """Whether a tracked cell's error has grown beyond what another build of the libraries may move it."""
    return abs(error) > abs(before) + SLACK["tracked"]


def _told(cell: Cell) -> Cell:
    """The cell, printed as soon as it is known: the whole grid takes an hour where bf16 is emulated."""
    sizes = f"{cell.calculated / 1e6:9.1f} {cell.measured / 1e6:9.1f} MB"
    print(f"{cell.name:52} {sizes} {cell.error:+7.1%}", flush=True)
    return cell


def _print(tracked: list[Cell], report: dict[str, Any]) -> None:
    print("\nworst:")
    for cell in sorted(tracked, key=lambda cell: -abs(cell.error))[:8]:
        print(f"  {cell.name:50} {cell.error:+7.1%}  {asdict(cell)}")
    for name, found in report.items():
        print(json.dumps({"id": f"memory {name}", **found}))


if __name__ == "__main__":
    main()
