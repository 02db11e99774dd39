"""X1: adapter to GGUF in one go, against merging with peft, saving, and llama.cpp's converter. Same model and adapter.

Run: `python -m tests.bench.export [--repeats 3] [--kind F16]`. Wall time, peak anonymous memory (RssAnon, which leaves
out files that are mapped), and the most that stood on disk beside the finished file. Linux only.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from studio.export.converter import converter_folder
from studio.project.jobs import worker_environment
from tests.helpers.toy_adapters import make_adapter
from tests.helpers.toy_models import make_toy

# 279M parameters in bf16, as PERFORMANCE.md's m280.
MODEL = {
    "hidden_size": 1024,
    "intermediate_size": 2816,
    "num_hidden_layers": 20,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "vocab_size": 16384,
    "tie_word_embeddings": True,
    "dtype": "bfloat16",
}

_MERGE = """
import shutil, sys, torch
from pathlib import Path
from peft import PeftModel
from transformers import AutoModelForCausalLM
base, adapter, out = map(Path, sys.argv[1:4])
model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
PeftModel.from_pretrained(model, adapter).merge_and_unload().save_pretrained(out)
for name in ("tokenizer.json", "tokenizer_config.json"):
    shutil.copy(base / name, out / name)
"""
_CONVERT = """
import runpy, sys
folder, model, out, kind = sys.argv[1:5]
sys.path.insert(0, folder)
import conversion.base as base
base.TextModel.get_vocab_base_pre = lambda self, tokenizer: "qwen2"
sys.argv = [folder + "/convert_hf_to_gguf.py", model, "--outfile", out, "--outtype", kind]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@dataclass(frozen=True)
class Measured:
    """One side of one turn."""

    seconds: float
    cpu_seconds: float
    anonymous_bytes: int
    extra_disk_bytes: int


def main() -> None:
    """Set up, take turns, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--kind", default="F16")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base, adapter = _set_up(folder)
        found: dict[str, list[Measured]] = {"Tunesmith": [], "peft + llama.cpp": []}
        for _ in range(options.repeats):
            found["Tunesmith"].append(_ours(base, adapter, folder / "out", options.kind))
            found["peft + llama.cpp"].append(_theirs(base, adapter, folder / "out", options.kind))
    _report(found, options.kind)


def _set_up(folder: Path) -> tuple[Path, Path]:
    import peft

    base = make_toy(folder / "base", "llama", **MODEL)
    return base, make_adapter(base, folder / "adapter", peft.LoraConfig(r=16, target_modules="all-linear"))


def _ours(base: Path, adapter: Path, out: Path, kind: str) -> Measured:
    arguments = {"source": str(adapter), "to": "gguf", "quant": kind, "out": str(out), "is_checked": False}
    return _run([[sys.executable, "-m", "studio.worker", "export", json.dumps(arguments)]], out)


def _theirs(base: Path, adapter: Path, out: Path, kind: str) -> Measured:
    merge = [sys.executable, "-c", _MERGE, str(base), str(adapter), str(out / "merged")]
    file = str(out / "model.gguf")
    convert = [sys.executable, "-c", _CONVERT, str(converter_folder()), str(out / "merged"), file, kind.lower()]
    return _run([merge, convert], out)


def _run(commands: list[list[str]], out: Path) -> Measured:
    """Run commands one after the other, looking at memory and disk twenty times a second."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    start, cpu, memory, disk = time.monotonic(), _cpu_seconds(), 0, 0
    for command in commands:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": worker_environment()}
        process = subprocess.Popen(command, stdin=subprocess.PIPE, **quiet)  # type: ignore[call-overload]
        while process.poll() is None:
            memory, disk = max(memory, _anonymous(process.pid)), max(disk, _disk(out))
            time.sleep(0.05)
        assert process.returncode == 0, command
    seconds = time.monotonic() - start
    final = max(path.stat().st_size for path in out.glob("*.gguf"))
    return Measured(seconds, _cpu_seconds() - cpu, memory, max(0, disk - final))


def _cpu_seconds() -> float:
    """Of all children that have ended; says more than the clock on a busy machine."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _anonymous(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def _disk(folder: Path) -> int:
    """Blocks, so that holes in a file do not count."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:
            continue
    return total


def _report(found: dict[str, list[Measured]], kind: str) -> None:
    table = Table("", "wall, s", "processor, s", "peak anonymous, MB", "extra disk, MB")
    table.title = f"Adapter to GGUF {kind}, 279M parameters"
    medians = []
    for name, runs in found.items():
        columns = [
            [run.seconds for run in runs],
            [run.cpu_seconds for run in runs],
            [run.anonymous_bytes / 1e6 for run in runs],
            [run.extra_disk_bytes / 1e6 for run in runs],
        ]
        medians.append([statistics.median(column) for column in columns])
        wall, cpu, memory, disk = medians[-1]
        spread = f"{wall:.1f} ({min(columns[0]):.1f}-{max(columns[0]):.1f})"
        table.add_row(name, spread, f"{cpu:.1f}", f"{memory:.0f}", f"{disk:.0f}")
    ratios = [f"{ours / theirs:.2f}" if theirs else "" for ours, theirs in zip(*medians, strict=True)]
    table.add_row("ratio", *ratios)
    Console().print(table)


if __name__ == "__main__":
    main()
