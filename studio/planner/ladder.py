"""What could be given up so that a run fits: each rung with its price and what it saves, the least harm first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from studio.errors import UserError
from studio.methods import METHODS
from studio.models.facts import ModelFacts
from studio.optimizers import OPTIMIZERS
from studio.planner.forecast import Forecast, forecast, with_method
from studio.planner.lengths import RowLengths
from studio.planner.machine import Machine
from studio.sizes import human_share
from studio.spec.run_spec import RunSpec
from studio.spec.values import set_values
from studio.spec.words import title_of

_WORTH = 0.005  # of the peak without what the libraries take: a rung that saves less is not worth reading
_SHORTEST = 128


@dataclass(frozen=True)
class Rung:
    """One thing to give up.

    Attributes:
        title, cost: for people: what, and at what price.
        saves_bytes: on the device, taken alone.
        settings: what it sets, as `path=value`.
        is_gentle: whether a run may take it half way and stay the same run: same rows, same steps, same state.
    """

    title: str
    cost: str
    saves_bytes: int
    settings: tuple[str, ...]
    is_gentle: bool = False


def ladder(
    spec: RunSpec,
    facts: ModelFacts,
    machine: Machine,
    rows: RowLengths | None = None,
    budget_bytes: int | None = None,
) -> list[Rung]:
    """Every rung that saves memory, the least harm first.

    Args:
        budget_bytes: then only the rungs that are needed to come down to it, each on top of those before.
    """
    if budget_bytes is not None:
        return climb(spec, facts, machine, rows, budget_bytes)
    return list(_useful(spec, facts, machine, rows, forecast(spec, facts, machine, rows)))


def climb(spec: RunSpec, facts: ModelFacts, machine: Machine, rows: RowLengths | None, budget_bytes: int) -> list[Rung]:
    """The rungs that together bring a run down to a budget; all that help when even they are too few."""
    taken: list[Rung] = []
    while (now := forecast(spec, facts, machine, rows)).peak_bytes > budget_bytes:
        found = next(_useful(spec, facts, machine, rows, now), None)
        if found is None:
            break
        taken = _merged([*taken, found])
        spec = set_values(spec, found.settings)
    return taken


def _merged(taken: list[Rung]) -> list[Rung]:
    """Of rungs that set the same, the last one with the savings of all: 4 rows, then 2, then 1 is one rung to 1."""
    kept: dict[tuple[str, ...], Rung] = {}
    for rung in taken:
        before = kept.get(_paths(rung))
        saved = before.saves_bytes if before else 0
        kept[_paths(rung)] = replace(rung, saves_bytes=saved + rung.saves_bytes)
    return list(kept.values())


def _paths(rung: Rung) -> tuple[str, ...]:
    return tuple(setting.partition("=")[0] for setting in rung.settings)


def _useful(
    spec: RunSpec, facts: ModelFacts, machine: Machine, rows: RowLengths | None, now: Forecast
) -> Iterator[Rung]:
    """Of two that set the same, the second only where it saves more: without a card, paging an optimizer does not."""
    least = _WORTH * (now.peak_bytes - now.memory["other"])
    saved: dict[tuple[str, ...], int] = {}
    for rung in _rungs(spec, facts, machine, rows):
        found = _measured(rung, spec, facts, machine, rows, now.peak_bytes)
        if found is not None and found.saves_bytes > max(least, saved.get(_paths(rung), 0)):
            saved[_paths(rung)] = found.saves_bytes
            yield found


def _measured(
    rung: Rung, spec: RunSpec, facts: ModelFacts, machine: Machine, rows: RowLengths | None, peak: int
) -> Rung | None:
    """The rung with what it saves; None when these settings do not go together."""
    try:
        after = forecast(set_values(spec, rung.settings), facts, machine, rows)
    except UserError:
        return None
    if after.verdict == "impossible":
        return None
    return Rung(rung.title, rung.cost, peak - after.peak_bytes, rung.settings, rung.is_gentle)


def _rungs(spec: RunSpec, facts: ModelFacts, machine: Machine, rows: RowLengths | None) -> Iterator[Rung]:
    """Candidates in order of harm; what they save is not known yet."""
    yield from _smaller_batches(spec)
    if not spec.train.activation_checkpointing:
        path, cost = "train.activation_checkpointing", "Same result; a step takes about a third longer."
        yield Rung(title_of(path), cost, 0, (f"{path}=true",), is_gentle=True)
    if spec.train.precision == "fp32":
        yield Rung("16-bit arithmetic", "Rounds more; the usual choice on GPUs.", 0, ("train.precision=bf16",))
    yield from _optimizers(spec)
    yield from _lighter_method(spec)
    yield from _shorter_rows(spec, rows)
    yield from _fewer_adapters(spec, facts)
    rank = getattr(spec.method, "rank", 0)
    if rank >= 16:
        cost = "The adapter can learn less; small tasks do not notice."
        yield Rung(f"Rank {rank // 2} instead of {rank}", cost, 0, (f"method.rank={rank // 2}",))
    yield from _other_method(spec, facts, machine, rows)


def _fewer_adapters(spec: RunSpec, facts: ModelFacts) -> Iterator[Rung]:
    trained = METHODS.get(spec.method.key).estimate(spec.method, facts.shapes)
    if trained.adapts_experts and trained.adapted:
        cost = "Experts stay as they are; attention and what every token passes through learns."
        yield Rung("No adapters on experts", cost, 0, (f"method.targets=[{','.join(sorted(trained.adapted))}]",))


def _smaller_batches(spec: RunSpec) -> Iterator[Rung]:
    size, times = spec.train.batch_size, spec.train.accumulation
    for smaller in dict.fromkeys((largest_part(size), 1)):
        if smaller < size and size * times // smaller <= 4096:
            settings = (f"train.batch_size={smaller}", f"train.accumulation={size * times // smaller}")
            title = f"{smaller} row{'s' * (smaller > 1)} at a time, {size * times // smaller} times a step"
            cost = "Same effective batch and result; slower on a fast card."
            yield Rung(title, cost, 0, settings, is_gentle=True)


def largest_part(size: int) -> int:
    """The largest number below `size` that divides it: a micro-batch of so many keeps the effective batch."""
    return next((part for part in range(size // 2, 0, -1) if size % part == 0), 1)


def _optimizers(spec: RunSpec) -> Iterator[Rung]:
    """The smaller relatives of the optimizer, one after the other."""
    seen, unit = {spec.optimizer.key}, OPTIMIZERS.get(spec.optimizer.key)
    while unit.smaller and unit.smaller not in seen:
        seen.add(unit.smaller)
        unit = OPTIMIZERS.get(unit.smaller)
        yield Rung(f"Optimizer: {unit.title}", unit.summary, 0, (f"optimizer.key={unit.key}",))


def _lighter_method(spec: RunSpec) -> Iterator[Rung]:
    key = METHODS.get(spec.method.key).lighter
    if key:
        yield _method(key)


def _other_method(spec: RunSpec, facts: ModelFacts, machine: Machine, rows: RowLengths | None) -> Iterator[Rung]:
    """The method that takes least of all, when it is none of those named already."""
    keys = [key for key in METHODS.all() if key not in (spec.method.key, METHODS.get(spec.method.key).lighter)]
    found = [forecast(with_method(spec, key), facts, machine, rows) for key in keys]
    possible = [each for each in found if each.verdict != "impossible"]
    if possible:
        yield _method(min(possible, key=lambda each: each.peak_bytes).method)


def _method(key: str) -> Rung:
    unit = METHODS.get(key)
    return Rung(f"Method: {unit.title}", unit.summary, 0, (f"method.key={key}",))


def _shorter_rows(spec: RunSpec, rows: RowLengths | None) -> Iterator[Rung]:
    length = spec.train.max_length
    if rows is not None and not spec.train.packing:
        length = rows.longest(length)
    for part in (2, 4):
        shorter = length // part
        if shorter >= _SHORTEST:
            share = "" if rows is None else f" ({human_share(rows.share_beyond(shorter))} of the rows)"
            cost = f"What is longer is cut off{share}."
            yield Rung(f"Rows of {shorter:,} tokens at most", cost, 0, (f"train.max_length={shorter}",))
