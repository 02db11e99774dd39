"""peft's settings of MiSS and of Bone's form of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from studio.engine.prepared import Base

if TYPE_CHECKING:
    from studio.methods.miss import MissParams


def miss_config(base: Base, params: MissParams) -> Any:
    """What peft attaches. "bat" is what it calls the form that Bone had."""
    from peft import MissConfig

    return MissConfig(
        r=params.rank,
        miss_dropout=params.dropout,
        target_modules=params.targets,
        init_weights="bat" if params.form == "bone" else True,
        task_type="CAUSAL_LM",
        base_model_name_or_path=base.name,
    )
