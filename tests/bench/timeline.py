"""A picture of one streamed step: who computes, reads and writes when, and what it waits for.

Run: `python -m tests.bench.timeline [--size m280] [--scheme E] [--length 256] [--out step.svg]`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.offload import LENGTH, SIZES, side, streamed, tell

_WIDTH, _LEFT, _LANE, _TOP = 1400, 150, 26, 60
_COLOURS = {"compute": "#4c78a8", "update": "#f2a541", "wait": "#e45756", "read": "#54a24b", "write": "#9d6bb0"}


@dataclass(frozen=True)
class Span:
    """Something that one thread did, in seconds from the step's beginning."""

    thread: str
    what: str
    start: float
    end: float
    size: int


def main() -> None:
    """Train a few steps, draw the last one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="m280", choices=list(SIZES))
    parser.add_argument("--scheme", default="E")
    parser.add_argument("--length", type=int, default=LENGTH)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("step.svg"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        found = side(Path(name), options.size, streamed(options.scheme), steps=2, length=options.length)
    spans = read_spans(found["spans"])
    length = max(span.end for span in spans)
    title = f"One step of {options.size}, scheme {options.scheme}, {options.length} tokens: {length:.2f} s"
    options.out.write_text(draw(spans, length, title), encoding="utf-8")
    tell("timeline", out=str(options.out), seconds=length, **shares(spans, length))


def read_spans(rows: list[list[Any]]) -> list[Span]:
    """Of the step alone, counted from its beginning; what the main thread does else is computing."""
    _, _, begun, ended, _ = next(row for row in rows if row[1] == "step")
    spans = [
        Span(row[0], row[1], max(row[2], begun) - begun, row[3] - begun, row[4])
        for row in rows
        if row[1] != "step" and begun < row[3] <= ended
    ]
    main = next(row[0] for row in rows if row[1] == "step")
    return spans + list(_gaps([s for s in spans if s.thread == main], main, ended - begun))


def shares(spans: list[Span], length: float) -> dict[str, float]:
    """Of each kind of work, the share of the step in which somebody does it."""
    return {what: _covered([s for s in spans if s.what == what]) / length for what in _COLOURS}


def draw(spans: list[Span], length: float, title: str) -> str:
    """An SVG with a lane for each thread."""
    threads = sorted({s.thread for s in spans}, key=lambda name: (name != "MainThread", name))
    scale = (_WIDTH - _LEFT - 20) / length
    height = _TOP + _LANE * (len(threads) + 2)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" font-family="sans-serif">']
    parts += [f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>', _text(20, 24, title, 16)]
    for at, (what, colour) in enumerate(_COLOURS.items()):
        parts += [_box(_LEFT + 110 * at, 36, 12, 12, colour), _text(_LEFT + 18 + 110 * at, 46, what)]
    for at, thread in enumerate(threads):
        top = _TOP + _LANE * at
        parts.append(_text(20, top + 16, thread.replace("MainThread", "training")))
        own = sorted((s for s in spans if s.thread == thread), key=lambda s: s.start)
        parts += [
            _box(_LEFT + s.start * scale, top + 3, max(0.5, (s.end - s.start) * scale), _LANE - 6, _COLOURS[s.what])
            for s in own
        ]
    bottom = _TOP + _LANE * len(threads) + 16
    parts += [_text(_LEFT + length * scale * n / 10, bottom, f"{length * n / 10:.2f} s") for n in range(10)]
    return "\n".join([*parts, "</svg>"])


def _gaps(spans: list[Span], thread: str, length: float) -> Iterator[Span]:
    at = 0.0
    for span in sorted(spans, key=lambda s: s.start):
        if span.start > at:
            yield Span(thread, "compute", at, span.start, 0)
        at = max(at, span.end)
    if at < length:
        yield Span(thread, "compute", at, length, 0)


def _covered(spans: list[Span]) -> float:
    total = at = 0.0
    for span in sorted(spans, key=lambda s: s.start):
        total += max(0.0, span.end - max(at, span.start))
        at = max(at, span.end)
    return total


def _box(left: float, top: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{height}" fill="{colour}"/>'


def _text(left: float, top: float, text: str, size: int = 12) -> str:
    return f'<text x="{left:.0f}" y="{top}" font-size="{size}" fill="#222222">{text}</text>'


if __name__ == "__main__":
    main()
