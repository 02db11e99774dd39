"""Exact answers on held-out questions, as a table: `python -m resources.starter.make.evaluate`.

Three ways of holding out: operands the training text never used (in a trained wording), wordings it never
used (with trained operands), and both at once. Then follow-ups and system prompts, each held out as well.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from random import Random

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from resources.starter import check

from .answers import answer_all, load
from .dataset import BRIEF_KINDS, FOLLOWED_KINDS
from .questions import Question, ask, ask_again, ask_restyled, held_out_questions, ways
from .styles import PLAIN, STYLES

WAYS = ("operands", "wording", "both")
MODEL = Path(__file__).parent.parent / "model"
Score = tuple[int, int]


class Judge:
    """Asks one model and counts what is exactly right; keeps what was wrong for reading."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self._model, self._tokenizer = model, tokenizer
        self.wrong: list[tuple[Question, str]] = []

    def marks(self, questions: Sequence[Question]) -> list[bool]:
        """Whether each question was answered exactly."""
        answers = answer_all(self._model, self._tokenizer, [question.messages for question in questions])
        right = [check.is_right(one.expected, text) for one, text in zip(questions, answers, strict=True)]
        self.wrong += [(one, text) for one, text, ok in zip(questions, answers, right, strict=True) if not ok]
        return right

    def score(self, questions: Sequence[Question]) -> Score:
        """Right answers and questions asked."""
        return sum(self.marks(questions)), len(questions)


def shown(score: Score) -> str:
    right, asked = score
    return f"{100 * right / asked:.0f} % of {asked}" if asked else ""


def kind_table(judge: Judge, *, seed: int, per_way: int) -> list[str]:
    """One row per kind, one column per way of holding out, and the totals."""
    questions = held_out_questions(seed=seed, per_way=per_way)
    scores: dict[tuple[str, str], Score] = defaultdict(lambda: (0, 0))
    for question, is_right in zip(questions, judge.marks(questions), strict=True):
        for row in (question.kind, "all kinds"):
            right, asked = scores[row, question.held_out]
            scores[row, question.held_out] = (right + is_right, asked + 1)
    names = list(dict.fromkeys(row for row, _ in scores if row != "all kinds"))
    lines = ["| kind | operands held out | wording held out | both held out |", "|---|---|---|---|"]
    for row in (*sorted(names), "all kinds"):
        lines.append(f"| {row} | " + " | ".join(shown(scores[row, way]) for way in WAYS) + " |")
    total = [sum(score[part] for (row, _), score in scores.items() if row == "all kinds") for part in (0, 1)]
    return [*lines, "", f"All held-out questions: {100 * total[0] / total[1]:.1f} % of {total[1]} exact."]


def style_table(judge: Judge, *, seed: int, count: int) -> list[str]:
    """System prompts in trained and in unseen words, on held-out questions of all brief kinds."""
    rng = Random(seed)
    lines = ["| system prompt | trained wording | unseen wording |", "|---|---|---|"]
    for style in (PLAIN, *STYLES):
        shares = []
        for prompts in (style.prompts, style.unseen):
            kinds = [rng.choice(BRIEF_KINDS) for _ in range(count)]
            asked = [ask(k, rng, ways(k, rng)[-1], style=style, prompt=rng.choice(prompts)) for k in kinds]
            shares.append(shown(judge.score(asked)))
        lines.append(f"| {style.name} | {shares[0]} | {shares[1]} |")
    return lines


def follow_up_table(judge: Judge, *, seed: int, count: int) -> list[str]:
    """Two-turn conversations: the same question about something else, and the same answer in another form."""
    rng = Random(seed)
    again = judge.score([ask_again(rng.choice(FOLLOWED_KINDS), rng) for _ in range(count * 2)])
    lines = ["| second turn | exact |", "|---|---|", f"| And of something else? | {shown(again)} |"]
    for style in (PLAIN, *STYLES):
        if style.follow_ups:
            score = judge.score([ask_restyled(rng.choice(BRIEF_KINDS), style, rng) for _ in range(count)])
            lines.append(f"| Once more: {style.name} | {shown(score)} |")
    return lines


def main() -> None:
    """Read the command line, ask the model, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL, help="model folder")
    parser.add_argument("--per-way", type=int, default=20, help="questions per kind and way of holding out")
    parser.add_argument("--count", type=int, default=60, help="questions per system prompt and follow-up")
    parser.add_argument("--seed", type=int, default=1000, help="for the questions")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--show-wrong", type=int, default=0, metavar="N", help="print N wrong answers")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    judge = Judge(*load(args.model))
    for table in (
        kind_table(judge, seed=args.seed, per_way=args.per_way),
        style_table(judge, seed=args.seed + 1, count=args.count),
        follow_up_table(judge, seed=args.seed + 2, count=args.count),
    ):
        print("\n".join(table), end="\n\n")
    for question, text in judge.wrong[: args.show_wrong]:
        print(
            question.kind,
            question.held_out,
            question.messages[-1]["content"],
            "->",
            text,
            "| expected",
            question.expected[0],
        )


if __name__ == "__main__":
    main()
