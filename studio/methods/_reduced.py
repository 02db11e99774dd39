"""Settings, checks and arithmetic of methods that train large weights through small stand-ins."""

from __future__ import annotations

from collections.abc import Callable

from studio.declare import setting
from studio.errors import Problem
from studio.methods import MethodParams, Trained
from studio.methods._layers import whole_weights_problems, widest_matrix
from studio.models.arithmetic import Linear, Shapes
from studio.models.facts import ModelFacts


class ReducedParams(MethodParams):
    """What is trained beside the stand-ins."""

    train_embeddings: bool = setting(
        False,
        title="Train embeddings and head",
        help="Trains embedding, head and last norm with the full optimizer. With a large vocabulary that costs more "
        "than all layers together.",
    )


def rank_problems(rank: int, facts: ModelFacts | None) -> list[Problem]:
    """What cannot work: a rank above the model's width, or a base whose weights cannot be changed."""
    found = whole_weights_problems(facts)
    if facts and facts.hidden_size and rank > facts.hidden_size:
        message = f"Rank {rank} is above the model's width of {facts.hidden_size}."
        found.append(Problem("method.rank", message, f"Use at most {facts.hidden_size}."))
    return found


def hold_cores(
    shapes: Shapes,
    core: Callable[[Linear], int],
    *,
    others: bool,
    vectors: bool,
    buffer: Callable[[Linear], int] = lambda linear: 0,
    taking: int = 0,
    following: int = 0,
) -> Trained:
    """Stand-ins are trained, one weight's gradient is there at a time; all experts of a layer are one weight.

    Args:
        core: numbers in the stand-in of one matrix.
        buffer: bytes that the method keeps beside it.
        others, vectors: whether what is no layer, and norms and biases, are trained as they are.
        taking: short-lived bytes of a number while its gradient becomes the stand-in's, beside four of the gradient.
        following: the same while its weight follows the stand-in; most are for rounding to 16 bits at random.
    """
    matrices = [*shapes.linears, *_of_experts(shapes)]
    cores = sum(core(matrix) * matrix.count for matrix in matrices)
    widest = widest_matrix(shapes)
    exact = shapes.total - sum(shapes.layer_sizes) if others else 0
    exact += shapes.vectors if vectors else 0
    return Trained(
        weights=exact,
        exact=exact,
        adapter=cores,
        gradients=cores + exact + (shapes.largest if others else widest),
        state=cores + exact,
        in_short=True,
        ends=others,
        layers=shapes.layers,
        norms=vectors,
        extra_bytes=sum(buffer(matrix) * matrix.count for matrix in matrices),
        taking_bytes=taking * widest,
        following_bytes=following * widest,
    )


def _of_experts(shapes: Shapes) -> list[Linear]:
    """A mixture's matrices as stand-ins see them: the experts of a layer are two tall ones, beside their router."""
    if not shapes.experts:
        return []
    count, wide, hidden = shapes.expert_count, shapes.expert_width, shapes.hidden
    sizes = {"gate_up_proj": (hidden, 2 * wide * count), "down_proj": (wide, hidden * count), "router": (hidden, count)}
    return [Linear(name, *size, shapes.expert_layers) for name, size in sizes.items()]
