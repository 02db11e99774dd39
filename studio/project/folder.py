"""A project's folder: the draft that is being edited, the imported data, and the runs made from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from studio.errors import UserError
from studio.project.runs import Run
from studio.spec.file import load_spec, save_spec
from studio.spec.places import absolute
from studio.spec.run_spec import RunSpec


@dataclass(frozen=True)
class Project:
    """A project's folder."""

    folder: Path

    @classmethod
    def create(cls, folder: Path, spec: RunSpec) -> Project:
        """Make a project with this draft.

        Raises:
            UserError: there is a project in the folder already, or a file in the way.
        """
        project = cls(folder.expanduser().resolve())
        try:
            if project.draft_path.exists():
                raise UserError(f"{folder} is a project already.", "Choose another folder, or change it with --set.")
            if project.folder.exists() and not project.folder.is_dir():
                raise UserError(f"{folder} is a file.", "Name a folder.")
            project.folder.mkdir(parents=True, exist_ok=True)
            project.save(spec)
        except OSError as error:
            raise UserError(
                f"{folder} cannot be made: {error.strerror}.", "Choose a folder you may write to."
            ) from error
        return project

    @classmethod
    def open(cls, folder: Path) -> Project:
        """A project that exists.

        Raises:
            UserError: the folder holds none.
        """
        project = cls(folder.expanduser().resolve())
        if not project.draft_path.is_file():
            raise UserError(
                f"{folder} is no project: it has no project.yaml.",
                'Make one with "tunesmith init DIR --model M --data F".',
            )
        return project

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def draft_path(self) -> Path:
        return self.folder / "project.yaml"

    @property
    def runs_dir(self) -> Path:
        return self.folder / "runs"

    @property
    def exports_dir(self) -> Path:
        return self.folder / "exports"

    def draft(self) -> RunSpec:
        """The spec being edited, paths as the person wrote them.

        Raises:
            UserError: project.yaml cannot be read; all problems are listed.
        """
        return load_spec(self.draft_path)

    def absolute(self, spec: RunSpec) -> RunSpec:
        """`spec` with its relative paths made absolute from this folder."""
        return absolute(spec, self.folder)

    def save(self, spec: RunSpec) -> None:
        """Write the draft atomically."""
        save_spec(self.draft_path, spec)

    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        found = [Run(path.parent) for path in self.runs_dir.glob("*/run.yaml")]
        return sorted(found, key=_age)


def _age(run: Run) -> tuple[float, str]:
    # run.yaml is written once, when the run is made.
    return run.spec_path.stat().st_mtime, run.name
