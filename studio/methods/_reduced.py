"""Settings, checks and arithmetic of methods that train large weights through small stand-ins."""

from __future__ import annotations

from collections.abc import Callable

from studio.declare import setting
from studio.errors import Problem
from studio.methods import MethodParams, Trained
from studio.methods._layers import whole_weights_problems
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
) -> Trained:
    """Stand-ins are trained, one weight's gradient is there at a time.

    Args:
        core: numbers in the stand-in of one linear layer.
        buffer: bytes that the method keeps beside it.
        others, vectors: whether what is no layer, and norms and biases, are trained as they are.
    """
    cores = sum(core(linear) * linear.count for linear in shapes.linears)
    exact = shapes.total - sum(shapes.layer_sizes) if others else 0
    exact += shapes.vectors if vectors else 0
    return Trained(
        weights=exact,
        exact=exact,
        adapter=cores,
        gradients=cores + exact + (shapes.largest if others else shapes.widest),
        state=cores + exact,
        ends=others,
        layers=shapes.layers,
        norms=vectors,
        extra_bytes=sum(buffer(linear) * linear.count for linear in shapes.linears),
        scratch_bytes=12 * shapes.widest,
    )
