"""The types a GGUF file can have: what each keeps and costs, and what its check must reach. Declared once, here."""

from __future__ import annotations

from dataclasses import dataclass

from studio.errors import UserError, nearest


@dataclass(frozen=True)
class QuantType:
    """One type of GGUF file.

    Attributes:
        name: as llama.cpp writes it.
        ftype: its number (`llama_ftype` in llama.h).
        bits: bits a weight takes on average in the matrices, for the forecast (block layouts in ggml-common.h).
        summary: what is given up, one sentence.
        least_agreement: share of next tokens that must be the tuned model's.
        most_kl: mean Kullback-Leibler divergence from the tuned model that is let pass, nats.
        is_common: whether it is among the few that a person is offered first.
    """

    name: str
    ftype: int
    bits: float
    summary: str
    least_agreement: float
    most_kl: float
    is_common: bool = False


# Bounds are wide: they tell a broken file (agreement near zero, divergence of several nats) from a coarse one. Small
# models lose more in few bits than large ones do; the figures themselves are in the report.
_TYPES = (
    QuantType("F32", 0, 32.0, "Exact, four bytes a weight.", 0.98, 0.005),
    QuantType("BF16", 32, 16.0, "Exact for models trained in bfloat16.", 0.97, 0.01),
    QuantType("F16", 1, 16.0, "As good as exact.", 0.97, 0.01, is_common=True),
    QuantType("Q8_0", 7, 8.5, "Hard to tell from exact.", 0.95, 0.03, is_common=True),
    QuantType("Q6_K", 18, 6.56, "Very close.", 0.90, 0.06, is_common=True),
    QuantType("Q5_K_M", 17, 5.7, "Close, a good choice when there is room.", 0.85, 0.12, is_common=True),
    QuantType("Q5_K_S", 16, 5.53, "Close.", 0.85, 0.12),
    QuantType("Q5_1", 9, 6.0, "An older layout; Q5_K_M is better.", 0.85, 0.12),
    QuantType("Q5_0", 8, 5.5, "An older layout; Q5_K_S is better.", 0.85, 0.12),
    QuantType("Q4_K_M", 15, 4.85, "The usual choice: little is lost.", 0.75, 0.3, is_common=True),
    QuantType("Q4_K_S", 14, 4.6, "A little smaller than Q4_K_M.", 0.75, 0.3),
    QuantType("IQ4_NL", 25, 4.5, "Small; better than Q4_K_S for some models.", 0.75, 0.3),
    QuantType("IQ4_XS", 30, 4.3, "Smallest of the four-bit types.", 0.75, 0.3),
    QuantType("Q4_1", 3, 5.0, "An older layout; Q4_K_M is better.", 0.70, 0.4),
    QuantType("Q4_0", 2, 4.55, "An older layout that runs fast on some phones.", 0.70, 0.4),
    QuantType("Q3_K_L", 13, 4.1, "Something is lost.", 0.55, 0.8),
    QuantType("Q3_K_M", 12, 3.75, "Something is lost; for large models.", 0.55, 0.8, is_common=True),
    QuantType("Q3_K_S", 11, 3.45, "Much is lost in small models.", 0.45, 1.2),
    QuantType("IQ3_M", 27, 3.7, "Something is lost; for large models.", 0.55, 0.8),
    QuantType("IQ3_S", 26, 3.45, "Much is lost in small models.", 0.45, 1.2),
    QuantType("Q2_K", 10, 3.0, "Much is lost; only for very large models.", 0.30, 2.0),
)
TYPES: dict[str, QuantType] = {kind.name: kind for kind in _TYPES}
USUAL = "Q4_K_M"
# Types that need measurements of the model on text, which are not taken here.
NEED_MATRIX = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS", "IQ3_XS", "Q2_K_S")


def parse_types(text: str) -> list[QuantType]:
    """Types named in a list such as "Q4_K_M,Q8_0", each once.

    Raises:
        UserError: one is unknown, or needs measurements that are not taken.
    """
    names = [name.strip().upper() for name in text.split(",") if name.strip()]
    for name in names:
        if name in NEED_MATRIX:
            raise UserError(
                f"{name} needs an importance matrix, which Tunesmith does not measure.", "Take Q2_K or IQ3_S."
            )
        if name not in TYPES:
            raise UserError(f'There is no GGUF type "{name}".', nearest(name, TYPES))
    if not names:
        raise UserError("No GGUF type is named.", f"{USUAL} is the usual choice.")
    return [TYPES[name] for name in dict.fromkeys(names)]
