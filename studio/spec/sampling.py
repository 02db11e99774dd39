"""How an answer is drawn, for both backends (torch and llama.cpp); and how an answer ended. No arithmetic here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from studio.declare import Settings, setting


class Sampling(Settings):
    """How the next token is chosen. The filters act in the order of llama.cpp: penalty, top k, top p, min p."""

    temperature: float = setting(
        0.7, title="Temperature", help="0 always takes the likeliest token; higher is more varied.", ge=0, le=10
    )
    top_p: float = setting(
        0.95, title="Top p", help="Keeps the likeliest tokens that together reach this share; 1 keeps all.", gt=0, le=1
    )
    top_k: int = setting(40, title="Top k", help="Keeps this many of the likeliest tokens; 0 keeps all.", ge=0)
    min_p: float = setting(
        0.05,
        title="Min p",
        help="Drops tokens less likely than this share of the likeliest one; 0 drops none.",
        ge=0,
        le=1,
        advanced=True,
    )
    repeat_penalty: float = setting(
        1.0,
        title="Repeat penalty",
        help="Above 1 makes tokens of the last 64 less likely to come again; 1 is off.",
        gt=0,
        le=10,
        advanced=True,
    )
    max_tokens: int = setting(
        512, title="Longest answer", help="Tokens after which an answer is cut.", unit="tokens", ge=1
    )
    seed: int | None = setting(
        None,
        title="Seed",
        help="Same seed, same answer; empty draws a new one each time.",
        ge=0,
        lt=2**32,
        advanced=True,
    )


GREEDY = Sampling(temperature=0.0)
PENALTY_WINDOW = 64


@dataclass(frozen=True)
class Finish:
    """How an answer ended.

    Attributes:
        reason: the model ended it, it reached its longest length (or the context's), or the person stopped it.
        num_tokens: tokens drawn, the end token not counted.
        num_prompt: tokens of the prompt.
    """

    reason: Literal["stop", "length", "cancelled"]
    num_tokens: int
    num_prompt: int
