"""Where a spec's files lie: relative paths belong to the project's folder."""

from __future__ import annotations

from pathlib import Path

from studio.spec.run_spec import RunSpec

STARTER = "starter"  # the bundled model's name


def absolute(spec: RunSpec, folder: Path) -> RunSpec:
    """`spec` with model and data paths made absolute from the project's `folder`. A Hub name stays what it is."""
    source = model_path(spec.model.source, folder)
    return spec.model_copy(
        update={
            "model": spec.model.model_copy(update={"source": str(source) if source else spec.model.source}),
            "data": spec.data.model_copy(update={"path": str(data_path(spec.data.path, folder))}),
        }
    )


def model_path(source: str, folder: Path) -> Path | None:
    """The folder that `source` means, or None when it names the starter or a Hub model."""
    if source == STARTER:
        return None
    path = Path(source).expanduser()
    if path.is_absolute() or source.startswith((".", "~")) or "\\" in source:
        return _join(folder, path)
    return _join(folder, path) if _join(folder, path).exists() else None


def data_path(path: str, folder: Path) -> Path:
    """The file that `path` means."""
    return _join(folder, Path(path).expanduser())


def _join(folder: Path, path: Path) -> Path:
    return Path(folder.resolve() / path)
