"""How files of rows, rendered rows and their figures look on a terminal, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from studio.errors import UserError
from studio.sizes import human_bytes, human_share

if TYPE_CHECKING:
    from rich.console import Console

    from studio.data.inspection import Inspection
    from studio.data.preview import Preview
    from studio.data.statistics import Statistics
    from studio.formats import Recognised

_SHOWN_IDS = 200


def inspection_json(found: Inspection, guess: Recognised | UserError) -> dict[str, Any]:
    """The whole inspection."""
    facts = found.facts
    settled = None if isinstance(guess, UserError) else guess
    return {
        "path": str(facts.path),
        "container": facts.container,
        "encoding": facts.encoding,
        "compression": facts.compression,
        "notes": list(facts.notes),
        "size_bytes": found.size_bytes,
        "rows": found.rows,
        "broken": found.broken,
        "problems": [{facts.unit: row.number, "problem": row.problem} for row in found.problems],
        "columns": {name: vars(column) for name, column in found.columns.items()},
        "format": settled.format.key if settled else None,
        "roles": dict(settled.columns) if settled else {},
        "reason": str(guess) if isinstance(guess, UserError) else guess.reason,
        "first_rows": list(found.first[:3]),
    }


def print_inspection(console: Console, found: Inspection, guess: Recognised | UserError) -> None:
    """The inspection for a person."""
    facts = found.facts
    kind = ", ".join(part for part in (facts.container, facts.encoding, facts.compression) if part)
    rows = "1 row" if found.rows == 1 else f"{found.rows:,} rows"
    console.print(f"{facts.path.name}: {kind}, {human_bytes(found.size_bytes)}, {rows}", style="bold")
    for note in facts.notes:
        console.print(note)
    _print_columns(console, found)
    _print_format(console, guess)
    _print_broken(console, found)
    for number, row in enumerate(found.first[:3], 1):
        console.print(f"\nRow {number}", style="bold")
        for name, value in row.items():
            console.print(f"  {name}: {short(value)}")


def _print_columns(console: Console, found: Inspection) -> None:
    good = found.rows - found.broken
    for name, column in found.columns.items():
        kinds = " or ".join(kind for kind in column.kinds if kind != "null")
        gaps = "" if column.filled == good else f", empty in {good - column.filled:,}"
        longest = f", up to {column.longest:,} characters" if column.longest else ""
        console.print(f"  {name}: {kinds or 'nothing'}{longest}{gaps}")


def _print_format(console: Console, guess: Recognised | UserError) -> None:
    if isinstance(guess, UserError):
        console.print(f"Format: none settled. {guess}", style="yellow")
        return
    console.print(f"Format: {guess.format.key} ({guess.format.title}). {guess.reason}", style="green")
    for role, column in guess.columns.items():
        console.print(f"  {role} <- {column}")


def _print_broken(console: Console, found: Inspection) -> None:
    if not found.broken:
        console.print("Broken rows: none")
        return
    console.print(f"Broken rows: {found.broken:,}", style="yellow")
    for row in found.problems[:5]:
        console.print(f"  {found.facts.path.name}:{row.number}: The row {row.problem}.")


def preview_json(shown: Preview) -> dict[str, Any]:
    """The rendered row with ids, flags and counts."""
    row = shown.row
    return {
        "number": shown.number,
        "text": row.text,
        "ids": row.ids.tolist(),
        "trained": row.trained.tolist(),
        "tokens": shown.tokens,
        "pieces": [{"text": text, "kind": kind} for text, kind in shown.pieces()],
        "num_tokens": len(row.ids),
        "num_trained": row.num_trained,
        "num_cut": row.num_cut,
    }


def print_preview(console: Console, shown: Preview) -> None:
    """The rendered row: what is learned stands in double brackets and green, what is cut off is struck out."""
    from rich.text import Text

    text = Text()
    for piece, kind in shown.pieces():
        if kind == "learned":
            text.append("⟦", "bold green").append(piece, "green").append("⟧", "bold green")
        elif kind == "cut":
            text.append("✂[", "red").append(piece, "red strike").append("]", "red")
        else:
            text.append(piece, "dim")
    console.print(text)
    row = shown.row
    cut = f", {row.num_cut:,} cut off" if row.num_cut else ""
    console.print(f"\n{len(row.ids):,} tokens, {row.num_trained:,} of them learned (in ⟦ ⟧){cut}", style="bold")
    console.print(_ids(shown))


def _ids(shown: Preview) -> str:
    pairs = list(zip(shown.row.ids.tolist(), shown.row.trained.tolist(), strict=True))
    words = [f"[{token}]" if trained else str(token) for token, trained in pairs[:_SHOWN_IDS]]
    more = f" ... and {len(pairs) - _SHOWN_IDS:,} more" if len(pairs) > _SHOWN_IDS else ""
    return f"ids: {' '.join(words)}{more}"


def print_statistics(console: Console, figures: Statistics) -> None:
    """The figures for a person."""
    console.print(f"{figures.rows:,} rows, {figures.bad:,} of them cannot be used", style="bold")
    for reason, count in list(figures.reasons.items())[:5]:
        console.print(f"  {count:,} x the row {reason}")
    console.print(f"Duplicates: {figures.duplicates:,}")
    learned = f", {figures.trained:,} of them learned" if figures.unit == "tokens" else ""
    console.print(f"In all {figures.total:,} {figures.unit}{learned}")
    points = ", ".join(f"{percent}%: {length:,}" for percent, length in figures.percentiles.items())
    console.print(f"A row's {figures.unit}, up to which so many rows are: {points}")
    for limit, share in figures.beyond.items():
        console.print(f"  longer than {limit:,}: {human_share(share)} of the rows")
    _print_histogram(console, figures)


def _print_histogram(console: Console, figures: Statistics) -> None:
    most = max((count for _, _, count in figures.histogram), default=0)
    for start, end, count in figures.histogram:
        bar = "█" * round(40 * count / most) or ("▏" if count else "")
        console.print(f"{start:>8,} to {end - 1:>8,} {count:>9,} {bar}")


def short(value: Any, limit: int = 160) -> str:
    """A value on one line."""
    text = " ".join(str(value).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
