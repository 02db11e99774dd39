"""Proof that a GGUF file is the tuned model: llama.cpp reads the same rows, tokens and probabilities are compared.

llama.cpp runs in a child process (job `logits`), so that a crash is a finding and not the end of the export. The
tuned model is somebody else's: it comes in as a function.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.errors import UserError
from studio.export.quant_types import QuantType
from studio.paths import write_text
from studio.project.jobs import JobProcess, WorkerFailed
from studio.protocol import events
from studio.sizes import human_share

Floats = npt.NDArray[np.float32]

# Tokens that the tuned model finds as likely as its favourite, to within this probability, count as agreeing: which
# of two equals comes first is decided by rounding, in any two programs.
NEAR_TIE = 0.01

FAILED_MARK = ".failed-check.gguf"


@dataclass(frozen=True)
class Row:
    """One text to compare on.

    Attributes:
        text: as the model reads it.
        ids: its tokens by the tuned model's own tokenizer.
        counts: (length,) whether the token at each position is one that was learned; all True when not known.
    """

    text: str
    ids: list[int]
    counts: list[bool]


@dataclass(frozen=True)
class Report:
    """What the check of a file found.

    Attributes:
        passed: whether all of it is within the bounds of the file's type.
        problems: what is not, sentences.
        has_equal_tokens: whether llama.cpp cuts all texts into the same tokens.
        rows, positions: how much was compared.
        agreement: share of positions where llama.cpp's likeliest token is the tuned model's (near ties count).
        mean_kl: mean Kullback-Leibler divergence of the file from the tuned model, nats a token.
        least_agreement, most_kl: the bounds.
        seconds: how long it took.
        question, answer, tuned_answer: what the file and the tuned model say to one question, always taking the
            likeliest token; "" where nothing was asked.
    """

    file: str
    quant: str
    passed: bool
    problems: tuple[str, ...]
    has_equal_tokens: bool
    rows: int
    positions: int
    agreement: float
    mean_kl: float
    least_agreement: float
    most_kl: float
    seconds: float
    question: str = ""
    answer: str = ""
    tuned_answer: str = ""

    def sentence(self) -> str:
        """The verdict first, then the figures."""
        if self.positions == 0:
            return f"Failed. {' '.join(self.problems)}"
        tokens = "same tokens" if self.has_equal_tokens else "other tokens"
        figures = (
            f"{tokens}, next token equal in {human_share(self.agreement)} of {self.positions} places"
            f" (bound {human_share(self.least_agreement, 0)}), divergence {self.mean_kl:.4f} (bound {self.most_kl:g})"
        )
        return f"Passed: {figures}." if self.passed else f"Failed: {figures}. {' '.join(self.problems)}"


def verify(
    file: Path,
    quant: QuantType,
    rows: Sequence[Row],
    reference: Callable[[list[int]], Floats],
    *,
    base: Path | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Compare a GGUF file with the tuned model.

    Args:
        file: the file.
        quant: its type; the bounds are its.
        rows: what to compare on.
        reference: token ids -> (length, vocabulary) logits of the tuned model.
        base: the base's GGUF, where `file` is an adapter.
        on_progress: (rows done, rows in all).
    """
    start, tally = time.monotonic(), _Tally()
    with tempfile.TemporaryDirectory(prefix=".check.", suffix=".part", dir=file.parent) as name:
        try:
            _compare(
                {"file": str(base or file), "adapter": str(file) if base else ""},
                rows,
                reference,
                Path(name),
                tally,
                on_progress,
            )
        except (WorkerFailed, UserError) as error:  # a finding about the file, not the end of the export
            tally.crash = f"llama.cpp could not run the file: {error.message}"
    return tally.report(file, quant, len(rows), time.monotonic() - start)


def save(report: Report, file: Path) -> Path:
    """Store the report beside the file."""
    path = file.with_name(f"{file.stem}.report.json")
    write_text(path, json.dumps(asdict(report), indent=2) + "\n")
    return path


def _compare(
    files: dict[str, str],
    rows: Sequence[Row],
    reference: Callable[[list[int]], Floats],
    folder: Path,
    tally: _Tally,
    on_progress: Callable[[int, int], None],
) -> None:
    """Let the child write each row's logits into `folder`, and take them in one by one."""
    (folder / "rows.json").write_text(json.dumps([[row.text, row.ids] for row in rows]), encoding="utf-8")
    with JobProcess("logits", {**files, "folder": str(folder)}) as child:
        for event in child:
            if not isinstance(event, events.Result):
                continue
            row = rows[event.value["row"]]
            path = folder / event.value["logits"]
            tally.has_equal_tokens &= event.value["ids"] == row.ids
            tally.add(reference(row.ids), np.load(path), row)
            path.unlink()
            on_progress(event.value["row"] + 1, len(rows))


class _Tally:
    """Sums over rows."""

    def __init__(self) -> None:
        self.positions, self.agreeing, self.kl = 0, 0, 0.0
        self.has_equal_tokens = True
        self.crash = ""

    def add(self, ours: Floats, theirs: Floats, row: Row) -> None:
        """Compare (length, vocabulary) logits at the positions whose next token counts."""
        places = np.flatnonzero(np.array(row.counts[1:], dtype=bool))
        width = min(ours.shape[1], theirs.shape[1])  # a file may lack the rows that fill a vocabulary up
        for place in places:
            p, q = log_softmax(ours[place, :width]), log_softmax(theirs[place, :width])
            self.kl += float(np.sum(np.exp(p) * (p - q)))
            self.agreeing += bool(np.exp(p[int(np.argmax(q))]) >= np.exp(p.max()) - NEAR_TIE)
        self.positions += len(places)

    def report(self, file: Path, quant: QuantType, rows: int, seconds: float) -> Report:
        """The verdict."""
        agreement, mean_kl = self.agreeing / max(1, self.positions), self.kl / max(1, self.positions)
        problems = tuple(self._problems(agreement, mean_kl, quant))
        return Report(
            file=file.name,
            quant=quant.name,
            passed=not problems,
            problems=problems,
            has_equal_tokens=self.has_equal_tokens,
            rows=rows,
            positions=self.positions,
            agreement=agreement,
            mean_kl=mean_kl,
            least_agreement=quant.least_agreement,
            most_kl=quant.most_kl,
            seconds=round(seconds, 2),
        )

    def _problems(self, agreement: float, mean_kl: float, quant: QuantType) -> list[str]:
        if self.crash:
            return [self.crash]
        problems = []
        if not self.has_equal_tokens:
            problems.append("llama.cpp cuts text into other tokens than the model learned from.")
        # Not "less than", so that a not-a-number fails as well.
        if not agreement >= quant.least_agreement:
            problems.append("The file continues text differently from the tuned model.")
        if not mean_kl <= quant.most_kl:
            problems.append("The file's probabilities are far from the tuned model's.")
        return problems


def log_softmax(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Natural logarithms of the probabilities that (vocabulary,) logits mean."""
    wide = logits.astype(np.float64)
    shifted = wide - wide.max()
    logarithms: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return logarithms


def set_aside(file: Path) -> Path:
    """Give a file that failed its check a name that says so; it is kept for a look, and nobody loads it by mistake."""
    target = file.with_name(f"{file.stem}{FAILED_MARK}")
    shutil.move(file, target)
    return target
