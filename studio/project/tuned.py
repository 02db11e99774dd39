"""What a person means by a run, an adapter or a model on the command line: base folder, tuned weights, a name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from studio.errors import UserError
from studio.models.facts import read_json
from studio.models.fingerprint import fingerprint
from studio.models.source import Progress, resolve_model
from studio.project.runs import Run


@dataclass(frozen=True)
class Tuned:
    """A model to chat with or to export.

    Attributes:
        name: for files and metadata; never a path.
        base: the base model's folder.
        base_name: what the base is called, without its path.
        weights: an adapter or full-weights folder, None for the base alone.
        run: the run it came from, if any.
        step: the checkpoint's step, None for the result.
    """

    name: str
    base: Path
    base_name: str
    weights: Path | None
    run: Run | None = None
    step: int | None = None


def find_tuned(
    source: str, *, checkpoint: int | None = None, base_only: bool = False, on_progress: Progress | None = None
) -> Tuned:
    """What `source` names.

    Args:
        source: a run's folder, an adapter folder, a model folder, "starter" or a Hub name.
        checkpoint: a step of the run instead of its result.
        base_only: the run's base without what was trained.
        on_progress: told while a base is downloaded.

    Raises:
        UserError: nothing is there, or the base is not the one that was trained on.
    """
    folder = Path(source).expanduser()
    if (folder / "run.yaml").is_file() or (folder / "project.yaml").is_file():
        return _of_run(Run.open(folder), checkpoint, base_only, on_progress)
    if checkpoint is not None or base_only:
        raise UserError(f"{source} is no run, so it has no checkpoints and no base.", "Name a run's folder.")
    if (folder / "adapter_config.json").is_file():
        recorded = str(read_json(folder / "adapter_config.json", "").get("base_model_name_or_path") or "")
        if not recorded:
            raise UserError(f"{folder.name} does not say which base it belongs to.", "Export the run it came from.")
        base = resolve_model(recorded, on_progress=on_progress)
        return Tuned(folder.resolve().name, base, Path(recorded).name, folder.resolve())
    base = resolve_model(source, on_progress=on_progress)
    return Tuned(base.name if folder.is_dir() else Path(source).name, base, Path(source).name, None)


def _of_run(run: Run, checkpoint: int | None, base_only: bool, on_progress: Progress | None) -> Tuned:
    spec = run.spec()
    weights = None if base_only else run.weights(checkpoint)
    base = resolve_model(spec.model.source, spec.model.revision, on_progress=on_progress)
    recorded = run.fingerprints.get("model")
    if recorded and recorded != fingerprint(base):
        raise UserError(
            f"The base model {base.name} is not the one this run was trained on: its files have changed.",
            "Put the original files back, or set the model's revision to the one used then.",
        )
    base_name = Path(spec.model.source).name
    suffix = "" if checkpoint is None else f"-step{checkpoint}"
    return Tuned(f"{base_name}-{run.name}{suffix}", base, base_name, weights, run, checkpoint)
