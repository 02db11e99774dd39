"""Reading, tokenising and packing against `datasets`: times and ratios, never asserted.

Run: `python -m tests.bench.data [--rows 100000] [--tokenised 20000] [--model FOLDER]`. Both sides run in this process,
in turns, on the same rows; ours renders the chat template, masks and writes its store, which theirs does not always.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

WORDS = ["the", "a", "of", "to", "and", "in", "that", "it", "is", "was", "for", "on", "with", "answer", "river", "city"]


Times = tuple[float, float]  # seconds on the clock, and of processor time
Figure = tuple[str, Times, Times | None]


def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the file that is opened and counted")
    parser.add_argument("--tokenised", type=int, default=20_000, help="rows that are tokenised")
    parser.add_argument("--model", type=Path, default=Path("resources/starter/model"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TUNESMITH_HOME"] = os.environ["HF_HOME"] = folder
        table = Table("what", "ours", "theirs", "ratio", "by processor time", title="Data room")
        for what, ours, theirs in _measure(Path(folder), arguments):
            ratios = [f"{b / a:.2f}x" for a, b in zip(ours, theirs or (), strict=False)] or ["", ""]
            table.add_row(what, f"{ours[0]:.3f} s", f"{theirs[0]:.3f} s" if theirs else "", *ratios)
        Console().print(table)


def _measure(folder: Path, arguments: argparse.Namespace) -> list[Figure]:
    path, small = folder / "rows.jsonl", folder / "small.jsonl"
    _write_rows(path, arguments.rows)
    with path.open() as lines:
        small.write_text("".join(itertools.islice(lines, arguments.tokenised)))
    return [*_opening(path), *_tokenising(small, arguments.model, folder), *_packing()]


def _write_rows(path: Path, count: int) -> None:
    rng = random.Random(0)
    with path.open("w") as file:
        for at in range(count):
            turns = [
                {"role": "user", "content": f"{' '.join(rng.choices(WORDS, k=rng.randint(4, 14)))} {at}?"},
                {"role": "assistant", "content": " ".join(rng.choices(WORDS, k=rng.randint(5, 60)))},
            ]
            file.write(json.dumps({"messages": turns}) + "\n")


def _opening(path: Path) -> list[Figure]:
    import datasets

    from studio.data.source import first_rows, open_source

    def theirs() -> Any:
        return datasets.load_dataset("json", data_files=str(path), split="train")[:50]

    return [
        (
            f"first rows of {path.stat().st_size / 1e6:.0f} MB",
            _time(lambda: first_rows(open_source(path))),
            _time(theirs),
        ),
        ("count its rows", _time(lambda: open_source(path).count()), None),
        ("read all of its rows", _time(lambda: sum(1 for _ in open_source(path).rows())), None),
    ]


def _tokenising(path: Path, model: Path, folder: Path) -> list[Figure]:
    import datasets
    from transformers import AutoTokenizer

    datasets.disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(model)
    data = datasets.load_dataset("json", data_files=str(path), split="train")
    texts = data.map(lambda row: {"text": tokenizer.apply_chat_template(row["messages"], tokenize=False)})
    texts = texts.remove_columns("messages")

    def mapped(source: Any, function: Callable[[Any], Any], **how: Any) -> Callable[[], Any]:
        return lambda: source.map(function, load_from_cache_file=False, **how)

    def with_mask(row: Any) -> Any:
        return dict(tokenizer.apply_chat_template(row["messages"], return_dict=True, return_assistant_tokens_mask=True))

    ours = _time(lambda: _ours(path, model, folder))
    return [
        ("rows to tokens and mask (theirs: template with mask, mapped)", ours, _time(mapped(data, with_mask))),
        (
            "the same (theirs: text to tokens alone, row by row)",
            ours,
            _time(mapped(texts, lambda r: tokenizer(r["text"]))),
        ),
        (
            "the same (theirs: text to tokens alone, in batches)",
            ours,
            _time(mapped(texts, lambda r: tokenizer(r["text"]), batched=True)),
        ),
    ]


def _ours(path: Path, model: Path, folder: Path) -> None:
    from studio.data.encoding import EncodingSettings
    from studio.data.source import first_rows, open_source
    from studio.data.tokenising import Task, tokenise
    from studio.formats import recognise
    from studio.models.tokenizer import ChatTokenizer

    source = open_source(path)
    task = Task(
        path,
        recognise(first_rows(source)),
        ChatTokenizer.load(model),
        EncodingSettings(max_length=1024),
        folder / "store",
        source.count(),
    )
    tokenise(task, on_rows=lambda _: None, is_cancelled=lambda: False)


def _packing() -> list[Figure]:
    from studio.data.packing import pack

    lengths = np.clip(np.random.default_rng(0).lognormal(5, 0.8, 1_000_000), 8, 2048).astype(np.int64)
    groups: list[list[int]] = []
    seconds = _time(lambda: groups.extend(pack(lengths, 2048)))
    density = lengths.sum() / (len(groups) * 2048)
    return [(f"pack 1,000,000 rows, {density:.2%} full", seconds, None)]


def _time(work: Callable[[], Any]) -> Times:
    begin, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begin, time.process_time() - used


if __name__ == "__main__":
    main()
