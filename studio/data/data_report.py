"""What became of a file's rows: figures, and the sentences that a person is told."""

from __future__ import annotations

from dataclasses import dataclass

from studio.data.rows import SourceFacts
from studio.data.token_store import BadRow


@dataclass(frozen=True)
class DataReport:
    """What became of the rows, up to now.

    Attributes:
        facts: the file.
        rows: rows of the file (counted before; empty lines may be among them while not complete).
        used, heldout: rows that became tokens, and how many of them are held out.
        num_bad, bad: rows set aside, and the first of them with their reasons.
        num_cut: rows that were longer than the longest row.
        tokens, trained_tokens: over the used rows.
        is_complete: False while a large file is still being tokenised.
        from_cache: nothing had to be tokenised.
    """

    facts: SourceFacts
    rows: int
    used: int
    heldout: int
    num_bad: int
    bad: tuple[BadRow, ...]
    num_cut: int
    tokens: int
    trained_tokens: int
    is_complete: bool
    from_cache: bool

    def summary(self) -> str:
        """What is learned from, in a sentence."""
        sofar = "" if self.is_complete else " so far; the rest is still being tokenised"
        return (
            f"{self.used:,} of {self.rows:,} rows are ready{sofar}, {self.heldout:,} of them held out: "
            f"{self.trained_tokens:,} of {self.tokens:,} tokens are learned."
        )

    def notes(self) -> list[tuple[str, str]]:
        """What a person should know before a run: sentences, each with a hint ("" where none is needed)."""
        notes = []
        if self.num_bad:
            first = self.bad[0]
            said = f"the first is {self.facts.unit} {first.number}, which {first.reason}"
            notes.append((f"{self.num_bad:,} of {self.rows:,} rows were set aside; {said}.", ""))
        if self.num_cut:
            hint = "Raise train.max_length to keep all of them; tunesmith data stats shows how long rows are."
            notes.append((f"{self.num_cut:,} of {self.used:,} rows are too long and were cut.", hint))
        return notes
