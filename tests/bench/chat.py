"""C1: words a second of the chat worker on a GGUF file, against llama-cpp-python called directly. Same file and prompt.

Run: `python -m tests.bench.chat [--repeats 5] [--tokens 128]`. The rate is that of the tokens behind the first one, by
the clock of whoever receives them: for ours that is another process. Sides take turns; medians are told.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from studio.chat.llama import MOST_CONTEXT
from studio.project.jobs import JobProcess, run_to_result, worker_environment
from studio.protocol import commands, events
from tests.bench.export import MODEL
from tests.helpers.toy_models import make_toy

TARGET = 0.97
# Its own small vocabulary: of tokens that are no text nothing would be streamed.
_SIZE = {name: value for name, value in MODEL.items() if name != "vocab_size"}
_MESSAGES = [{"role": "user", "content": "Tell me about the sea, the wind and the boats, at length."}]

_THEIRS = """
import json, sys, time
import llama_cpp
file, context, tokens, messages = sys.argv[1], *map(json.loads, sys.argv[2:5])
model = llama_cpp.Llama(file, n_ctx=context, n_batch=512, n_gpu_layers=-1, verbose=False)
prompt = model.tokenize("".join(message["content"] for message in messages).encode(), special=True)
for line in sys.stdin:
    times, text = [], b""
    for token in model.generate(prompt, temp=0.0):
        text += model.detokenize([token])
        times.append(time.monotonic())
        if len(times) == tokens:
            break
    print(json.dumps([len(times), times[-1] - times[0]]), flush=True)
"""


def main() -> None:
    """Make a file, take turns, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=128)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        file = _file(Path(name))
        with _Ours(file) as ours, _Theirs(file, options.tokens) as theirs:
            ours.rate(8)  # both have read the file and the prompt once
            theirs.rate()
            pairs = [(ours.rate(options.tokens), theirs.rate()) for _ in range(options.repeats)]
    _report([pair[0] for pair in pairs], [pair[1] for pair in pairs])


def _file(folder: Path) -> Path:
    base = make_toy(folder / "base", "llama", **_SIZE)
    arguments = {"source": str(base), "to": "gguf", "quant": "Q8_0", "out": str(folder / "out"), "is_checked": False}
    return Path(run_to_result("export", arguments)["files"][0]["path"])


class _Ours:
    """The chat worker, as the window and the command line use it."""

    def __init__(self, file: Path) -> None:
        self._job = JobProcess("chat", {"source": str(file)})
        self._events = iter(self._job)
        self._turn = 0
        while not isinstance(next(self._events), events.Result):
            pass

    def __enter__(self) -> _Ours:
        return self

    def __exit__(self, *_: object) -> None:
        self._job.close()

    def rate(self, tokens: int) -> float:
        """Tokens a second behind the first one."""
        self._turn += 1
        sampling: dict[str, Any] = {"temperature": 0, "max_tokens": tokens}
        self._job.tell(commands.Say(turn=self._turn, messages=_MESSAGES, sampling=sampling))
        times: list[float] = []
        for event in self._events:
            if isinstance(event, events.Token):
                if event.finish:
                    assert event.figures["tokens"] == tokens, "the model ended by itself"
                    return (event.figures["tokens"] - 1) / (times[-1] - times[0])
                times.append(time.monotonic())
        raise AssertionError("the worker ended")


class _Theirs:
    """llama-cpp-python in a process of its own: its token loop and nothing else."""

    def __init__(self, file: Path, tokens: int) -> None:
        arguments = [str(file), str(MOST_CONTEXT), str(tokens), json.dumps(_MESSAGES)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _THEIRS, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=worker_environment(),
        )

    def __enter__(self) -> _Theirs:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def rate(self) -> float:
        """Tokens a second behind the first one."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        count, seconds = json.loads(self._process.stdout.readline())
        return float((count - 1) / seconds)


def _report(ours: list[float], theirs: list[float]) -> None:
    table = Table("", "tokens a second", "least", "most")
    table.title = "Chat with a GGUF file, Q8_0, 279M parameters"
    for name, rates in (("Tunesmith's chat worker", ours), ("llama-cpp-python", theirs)):
        table.add_row(name, f"{statistics.median(rates):.1f}", f"{min(rates):.1f}", f"{max(rates):.1f}")
    ratio = statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))
    console = Console()
    console.print(table)
    console.print(f"Ratio of turns side by side: {ratio:.3f} (target {TARGET})")


if __name__ == "__main__":
    main()
