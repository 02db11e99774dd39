"""Draws the README's picture from what `tunesmith demo` printed: `python resources/readme/picture.py demo.log`.

Progress lines are thinned out, and of the evaluations the first three and the last are kept, so that the picture fits
a screen; no line is changed.
"""

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH, KEEP_EVERY, KEEP_EVALUATIONS = 104, 12, 3
PROGRESS = re.compile(r"^step \d+/\d+ ")
EVALUATION = re.compile(r"^step (\d+): ")
NOISE = re.compile(r"^(Project: |/|Talk to it|Compare with|Loading|real|user|sys)|^\s*$")


def thinned(lines: list[str]) -> list[str]:
    """Every so many progress lines, some evaluations, and all others that say something."""
    kept, count = [], 0
    evaluated = sorted({int(found[1]) for line in lines if (found := EVALUATION.match(line))})
    shown = {*evaluated[:KEEP_EVALUATIONS], *evaluated[-1:]}
    for line in lines:
        found = EVALUATION.match(line)
        if NOISE.match(line) or (found and int(found[1]) not in shown):
            continue
        if PROGRESS.match(line):
            count += 1
            if count % KEEP_EVERY != 1:
                continue
        kept.append(line[: WIDTH - 1])
    return kept


def main() -> None:
    """Read the log, write demo.svg beside this file."""
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print("$ tunesmith demo", style="bold")
    for line in thinned(Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()):
        console.print(Text.from_ansi(line))
    drawn = console.export_svg(title="tunesmith demo")
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)  # no font from somebody's server
    Path(__file__).with_name("demo.svg").write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
