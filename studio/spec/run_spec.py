"""The run spec: one frozen value from which form, flag, file and check are all read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SerializeAsAny

from studio.declare import Settings, setting
from studio.errors import UserError, nearest
from studio.methods import METHODS, MethodParams
from studio.objectives import OBJECTIVES, ObjectiveParams
from studio.optimizers import OPTIMIZERS, OptimizerParams
from studio.spec.goals import GOALS
from studio.units import Registry


def _unit_params(registry: Registry[Any], default: str) -> BeforeValidator:
    """Read a section by its `key`: the unit of that name declares the other fields."""

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        try:
            unit = registry.get(str(value.get("key", default)))
        except UserError as error:
            raise ValueError(str(error)) from error
        return unit.Params.model_validate(value)

    return BeforeValidator(read)


def _known_goal(value: str) -> str:
    if value and value not in GOALS:
        raise ValueError(f'there is no goal "{value}". {nearest(value, GOALS)}'.removesuffix("."))
    return value


class GoalSection(Settings):
    """What the model is tuned for."""

    kind: Annotated[str, AfterValidator(_known_goal)] = setting(
        "",
        title="Goal",
        help="What the run is for: tone, format, task, facts or text; empty says nothing.",
        advanced=True,
    )


class ModelSection(Settings):
    """Which base model."""

    source: str = setting(..., title="Model", help="A model folder on this computer, or a name on the Hub.")
    revision: str = setting("", title="Revision", help="A branch, tag or commit of the Hub model.", advanced=True)


class DataSection(Settings):
    """Which rows, and which of their tokens are learned."""

    path: str = setting(..., title="Data", help="A file of rows: JSONL, JSON, CSV, TSV, Parquet, Arrow or text.")
    format: str = setting("auto", title="Row format", help='What a row looks like; "auto" is what the program finds.')
    columns: dict[str, str] = setting(
        {}, title="Columns", help="Which column plays which role; overrides the guess.", advanced=True
    )
    holdout: float = setting(
        0.05,
        title="Held out",
        help="Rows kept aside to measure on: a share below 1 (0.05 is 5 %; at most 5,000 rows), or a number of rows. "
        "0 keeps none.",
        ge=0,
    )
    train_on: Literal["answers", "last_answer", "everything"] = setting(
        "answers",
        title="Learn from",
        help="Which tokens count: every answer, only the last answer of a conversation, or all of the text.",
    )
    truncation: Literal["end", "start"] = setting(
        "end", title="Cut at", help="Which side of a row that is too long is cut off.", advanced=True
    )
    bad_rows: Literal["refuse", "skip"] = setting(
        "refuse",
        title="Rows that cannot be used",
        help='"refuse" stops before training and lists them; "skip" leaves them out and says how many.',
    )


class TrainSection(Settings):
    """How long, how fast, how precisely."""

    steps: int | None = setting(
        None, title="Steps", help="Optimizer steps; wins over epochs when set.", ge=1, le=10_000_000
    )
    epochs: float = setting(3.0, title="Epochs", help="How often each row is seen.", gt=0, le=10_000)
    batch_size: int = setting(
        4, title="Batch size", help="Rows a device reads at once. Raise it for speed; it costs memory.", ge=1, le=4096
    )
    accumulation: int = setting(
        1,
        title="Accumulation",
        help="Batches added up for one optimizer step: a larger effective batch at no memory.",
        ge=1,
        le=4096,
    )
    max_length: int = setting(
        1024,
        title="Longest row",
        help="Tokens of a row that are read; the rest is cut.",
        unit="tokens",
        ge=8,
        le=1 << 22,
    )
    packing: bool = setting(
        False, title="Packing", help="Put several short rows into one sequence, kept apart. Faster on uneven rows."
    )
    shuffle: bool = setting(True, title="Shuffle", help="Mix the rows anew in each epoch.", advanced=True)
    seed: int = setting(0, title="Seed", help="Same seed, same run.", advanced=True, ge=0, le=2**32 - 1)
    precision: Literal["fp32", "bf16"] = setting(
        "bf16", title="Precision", help="bf16 halves memory and is faster on most GPUs; fp32 is exact and slower."
    )
    learning_rate: float | None = setting(
        None, title="Learning rate", help="How far each step goes; empty takes the method's own.", gt=0, le=10
    )
    weight_decay: float = setting(
        0.0, title="Weight decay", help="Pulls weights towards zero; small values steady long runs.", ge=0, le=1
    )
    schedule: Literal["constant", "linear", "cosine"] = setting(
        "cosine", title="Schedule", help="How the learning rate falls after the warm-up."
    )
    warmup: float = setting(
        0.03,
        title="Warm-up",
        help="A share of the steps below 1, or a number of steps, to rise to the full rate.",
        ge=0,
    )
    clip_norm: float = setting(
        1.0, title="Clip norm", help="Longest gradient that is let through; 0 lets all through.", ge=0, advanced=True
    )
    drive_wear: float = setting(
        0.01,
        title="Wear of the drive",
        help="Share of the drive's life that a run may use up by writing; a run that streams its training would ask "
        "first. A life is taken to be 600 times the drive's size.",
        ge=0,
        le=1,
        advanced=True,
    )
    activation_checkpointing: bool = setting(
        False,
        title="Recompute activations",
        help="Frees most of the memory that grows with length; a step takes about a third longer.",
    )
    neftune_alpha: float = setting(
        0.0,
        title="NEFTune noise",
        help="Noise on the embeddings while training (5 is usual); 0 is off.",
        ge=0,
        advanced=True,
    )
    eval_every: int = setting(
        0, title="Evaluate every", help="Steps between evaluations; 0 takes a tenth of the run.", unit="steps", ge=0
    )
    early_stopping: int = setting(
        0, title="Stop early after", help="Evaluations without a better loss before the run ends; 0 never.", ge=0
    )
    samples: int = setting(
        3, title="Sample answers", help="Held-out prompts answered at each evaluation.", ge=0, le=20, advanced=True
    )
    checkpoint_every: int = setting(
        0, title="Checkpoint every", help="Steps between checkpoints; 0 saves by time alone.", unit="steps", ge=0
    )
    checkpoint_minutes: float = setting(
        10.0, title="Checkpoint after", help="Minutes between checkpoints; 0 saves by steps alone.", unit="min", ge=0
    )
    keep_checkpoints: int = setting(
        2, title="Checkpoints kept", help="The newest ones kept, besides the best.", ge=1, le=1000, advanced=True
    )
    memory_share: float = setting(
        1.0,
        title="Share of the card",
        help="How much of the card's memory the run may take at most. Below 1 it leaves room for other programs.",
        gt=0,
        le=1,
        advanced=True,
    )
    device: str = setting("auto", title="Device", help='"auto", "cpu", "cuda", "cuda:1" or "mps".', advanced=True)


class RunSpec(Settings):
    """Everything a person decides about a run."""

    version: Literal[1] = 1
    goal: GoalSection = GoalSection()
    model: ModelSection
    data: DataSection
    method: Annotated[SerializeAsAny[MethodParams], _unit_params(METHODS, "lora")] = Field(
        default_factory=lambda: METHODS.get("lora").Params()
    )
    objective: Annotated[SerializeAsAny[ObjectiveParams], _unit_params(OBJECTIVES, "nll")] = Field(
        default_factory=lambda: OBJECTIVES.get("nll").Params()
    )
    optimizer: Annotated[SerializeAsAny[OptimizerParams], _unit_params(OPTIMIZERS, "adamw")] = Field(
        default_factory=lambda: OPTIMIZERS.get("adamw").Params()
    )
    train: TrainSection = TrainSection()
