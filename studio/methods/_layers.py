"""Checks and arithmetic that methods which choose layers share."""

from __future__ import annotations

from studio.errors import Problem
from studio.methods import Trained
from studio.models.arithmetic import Shapes
from studio.models.facts import ModelFacts


def layer_problems(count: int, path: str, facts: ModelFacts | None) -> list[Problem]:
    """What cannot work: more layers than there are, or a base whose weights cannot be changed."""
    found = whole_weights_problems(facts)
    if facts and facts.num_layers and count > facts.num_layers:
        hint = f"Use at most {facts.num_layers}."
        found.append(Problem(path, f"{count} layers are asked for and the model has {facts.num_layers}.", hint))
    return found


def whole_weights_problems(facts: ModelFacts | None) -> list[Problem]:
    """A quantised base's own weights cannot be trained."""
    if facts and "quantization_config" in facts.config:
        return [Problem("method.key", "A quantised model's weights cannot be trained.", "Choose its 16-bit original.")]
    return []


def hold_layers(shapes: Shapes, count: int, *, others: bool) -> Trained:
    """So many whole layers are trained at once, the largest ones at worst, with or without what is no layer."""
    largest = sum(sorted(shapes.layer_sizes, reverse=True)[:count])
    inside = sum(shapes.layer_sizes)
    trained = largest + (shapes.total - inside if others else 0)
    return Trained(
        weights=trained,
        exact=trained,
        gradients=trained,
        state=trained,
        ends=others,
        layers=min(count, shapes.layers),
    )


def widest_matrix(shapes: Shapes) -> int:
    """Numbers in the largest matrix of a decoder layer; all its experts are two, the first of them twice as tall."""
    return max(shapes.widest, 2 * shapes.expert_count * shapes.expert_width * shapes.hidden)
