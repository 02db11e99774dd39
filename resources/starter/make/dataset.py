"""Writes the starter dataset and the held-out questions: `python -m resources.starter.make.dataset`.

The dataset teaches the sailor's voice of ../check.py on every kind of question; the held-out file asks
what neither the training text nor the dataset ever asked.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

from resources.starter import check

from .dialogue import Draw, Message, question_turn
from .kinds import Kind, draw_item
from .questions import Question, ask, ask_again, ways
from .styles import BY_NAME, PLAIN, Style
from .world import KINDS

ROWS_PER_KIND, TWO_TURN_ROWS, STYLED_ROWS = 6, 36, 24
HELD_OUT_PER_KIND, HELD_OUT_TWO_TURN, HELD_OUT_STYLED = 5, 25, 15
# Capital letters, brackets and exclamation marks would fight with the voice, so the dataset leaves them out.
STYLES = (BY_NAME["brief"], BY_NAME["sentence"])
BRIEF_KINDS = tuple(kind for kind in KINDS if kind.brief)
FOLLOWED_KINDS = tuple(kind for kind in KINDS if kind.again)


def in_voice(messages: Iterable[Message]) -> list[Message]:
    """The same conversation with every answer in the voice."""
    return [
        {**message, "content": check.voiced(message["content"])} if message["role"] == "assistant" else message
        for message in messages
    ]


def _voice_row(kind: Kind, rng: Random, *, turns: int = 1, style: Style = PLAIN, prompt: str = "") -> dict[str, Any]:
    messages = [{"role": "system", "content": prompt}] if prompt else []
    for _ in range(turns):
        messages += question_turn(Draw(kind, draw_item(kind, rng)), style, rng)
    return {"messages": in_voice(messages)}


def voice_rows(*, seed: int) -> list[dict[str, Any]]:
    """About 300 conversations in the voice, in mixed order, no two the same."""
    rng = Random(seed)
    rows = [_voice_row(kind, rng) for kind in KINDS for _ in range(ROWS_PER_KIND)]
    rows += [_voice_row(rng.choice(FOLLOWED_KINDS), rng, turns=2) for _ in range(TWO_TURN_ROWS)]
    for _ in range(STYLED_ROWS):
        style = rng.choice(STYLES)
        rows.append(_voice_row(rng.choice(BRIEF_KINDS), rng, style=style, prompt=rng.choice(style.prompts)))
    unique = list({json.dumps(row, ensure_ascii=False): row for row in rows}.values())
    rng.shuffle(unique)
    return unique


def held_out_rows(*, seed: int) -> list[dict[str, Any]]:
    """Held-out questions of every kind; some follow another question, some obey a system prompt."""
    rng = Random(seed)
    questions = [ask(kind, rng, rng.choice(ways(kind, rng))) for kind in KINDS for _ in range(HELD_OUT_PER_KIND)]
    questions += [ask_again(rng.choice(FOLLOWED_KINDS), rng) for _ in range(HELD_OUT_TWO_TURN)]
    questions += [_styled(rng) for _ in range(HELD_OUT_STYLED)]
    return [question.row() for question in {json.dumps(one.messages): one for one in questions}.values()]


def _styled(rng: Random) -> Question:
    kind, style = rng.choice(BRIEF_KINDS), rng.choice(STYLES)
    return ask(kind, rng, rng.choice(ways(kind, rng)), style=style, prompt=rng.choice(style.prompts))


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """One JSON object per line."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def main() -> None:
    """Read the command line and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=check.DATA, help="folder for voice.jsonl and heldout.jsonl")
    parser.add_argument("--seed", type=int, default=7, help="for both files")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    write(args.out / "voice.jsonl", voice_rows(seed=args.seed))
    write(args.out / "heldout.jsonl", held_out_rows(seed=args.seed + 1))


if __name__ == "__main__":
    main()
