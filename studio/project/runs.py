"""One run's folder: the frozen spec, where everything lies, and what state it is in. It trains nothing itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from studio.errors import UserError
from studio.paths import write_text
from studio.project.names import check_name
from studio.project.state import RunState, summarise
from studio.spec.file import dump, load_yaml, migrate, parse_spec
from studio.spec.places import absolute
from studio.spec.run_spec import RunSpec

STORE = "store"
"""In a run's folder: weights that stream, where they do."""
_LOCK_SECONDS = 3.0  # somebody asking for the state holds the lock for an instant; a worker outlasts that


@dataclass(frozen=True)
class Run:
    """A run's folder."""

    folder: Path

    @classmethod
    def create(
        cls, project: Path, spec: RunSpec, name: str = "", *, fingerprints: Mapping[str, str] | None = None
    ) -> Run:
        """Make the folder of a new run and freeze its spec in it.

        Args:
            project: the project's folder; relative paths of the spec are relative to it.
            spec: fully resolved (`spec.check.resolve`).
            name: the folder's name under `runs/`; "" makes one of the time and the method.
            fingerprints: of "model" and "data".

        Raises:
            UserError: the name cannot be used or is taken.
        """
        now = datetime.now(UTC)
        folder = _new_folder(project / "runs", check_name(name) if name else "", spec.method.key, now)
        record = {
            "version": spec.version,
            "created": now.isoformat(timespec="seconds"),
            "spec": spec.model_dump(mode="json", exclude={"version"}),
            "fingerprints": dict(fingerprints or {}),
        }
        write_text(folder / "run.yaml", dump(record))
        return cls(folder)

    @classmethod
    def open(cls, folder: Path) -> Run:
        """A run that exists.

        Raises:
            UserError: the folder is no run's.
        """
        run = cls(folder.expanduser().resolve())
        if run.spec_path.is_file():
            return run
        if (run.folder / "project.yaml").is_file():
            raise UserError(f"{folder} is a project, not a run.", _known_runs(run.folder))
        raise UserError(f"{folder} is no run: it has no run.yaml.", "Name a folder under a project's runs folder.")

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def project_folder(self) -> Path:
        """The project it belongs to."""
        return self.folder.parent.parent

    @property
    def spec_path(self) -> Path:
        return self.folder / "run.yaml"

    @property
    def events_path(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def commands_path(self) -> Path:
        return self.folder / "commands.jsonl"

    @property
    def log_path(self) -> Path:
        return self.folder / "worker.log"

    @property
    def environment_path(self) -> Path:
        return self.folder / "environment.json"

    @property
    def probe_path(self) -> Path:
        """What its step was seen to take before it began, where somebody had it looked at."""
        return self.folder / "probe.json"

    @property
    def checkpoints_dir(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def result_dir(self) -> Path:
        return self.folder / "result"

    @property
    def exports_dir(self) -> Path:
        return self.project_folder / "exports"

    def record(self) -> dict[str, Any]:
        """run.yaml as it stands, brought up to this version: version, created, spec, fingerprints.

        Raises:
            UserError: it is damaged or a newer program's.
        """
        record = load_yaml(self.spec_path)
        if not isinstance(record.get("spec"), dict):
            raise UserError(f"{self.spec_path} is damaged: it holds no spec.")
        spec = migrate({"version": record.get("version", 1), **record["spec"]}, where=str(self.spec_path))
        return {**record, "spec": spec}

    def spec(self) -> RunSpec:
        """The frozen spec, with relative paths made absolute from the project's folder.

        Raises:
            UserError: run.yaml is damaged.
        """
        return absolute(self.frozen_spec(), self.project_folder)

    def frozen_spec(self) -> RunSpec:
        """The frozen spec as written, relative paths left as they are."""
        return parse_spec(self.record()["spec"], where=str(self.spec_path))

    @property
    def fingerprints(self) -> dict[str, str]:
        """Of "model" and "data", as they were when the run was made."""
        return dict(self.record().get("fingerprints") or {})

    def state(self, give_way: Callable[[], object] = lambda: None) -> RunState:
        """What the run is doing or how it ended; running means that a worker holds the lock.

        Args:
            give_way: called between bites.
        """
        return summarise(self.events_path, is_running=self.is_running(), give_way=give_way)

    def is_running(self) -> bool:
        """Whether a worker holds the run's lock."""
        if not self._lock_path.is_file():
            return False
        lock = FileLock(self._lock_path, timeout=0)
        try:
            with lock:
                return False
        except Timeout:
            return True
        except OSError:  # a read-only copy: nothing can be running there
            return False

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run while working on it; its being held is the heartbeat.

        Raises:
            UserError: another worker holds it.
        """
        lock = FileLock(self._lock_path, timeout=_LOCK_SECONDS)
        try:
            lock.acquire()
        except Timeout as error:
            raise UserError(
                f"The run {self.name} is already being worked on by another process.",
                f'Follow it with "tunesmith watch {self.folder}", or stop it first.',
            ) from error
        try:
            yield
        finally:
            lock.release()

    def checkpoints(self) -> list[int]:
        """Steps of complete checkpoints (their manifest exists), ascending."""
        found = self.checkpoints_dir.glob("*/manifest.json")
        return sorted(int(path.parent.name) for path in found if path.parent.name.isdigit())

    def checkpoint_dir(self, step: int) -> Path:
        """Where the checkpoint of a step lies."""
        return self.checkpoints_dir / f"{step:08d}"

    def weights(self, step: int | None = None) -> Path:
        """The folder of the tuned weights: the result, or a checkpoint's.

        Raises:
            UserError: they are not there; the hint says which are.
        """
        if step is None and (self.result_dir.is_dir() and any(self.result_dir.glob("*.safetensors"))):
            return self.result_dir
        steps = self.checkpoints()
        have = f"Checkpoints: {', '.join(map(str, steps))}." if steps else "It has no checkpoints either."
        if step is None:
            raise UserError(f"The run {self.name} has no result yet.", have)
        if step not in steps:
            raise UserError(f"The run {self.name} has no checkpoint of step {step}.", have)
        return self.checkpoint_dir(step) / "weights"

    @property
    def _lock_path(self) -> Path:
        return self.folder / "run.lock"


def _new_folder(runs: Path, name: str, method: str, now: datetime) -> Path:
    """Make `runs/name`, or `runs/<time>-<method>` with a number behind it when two start within a second."""
    runs.mkdir(parents=True, exist_ok=True)
    stamp = f"{now.astimezone():%Y%m%d-%H%M%S}-{method}"
    for candidate in [name] if name else [stamp, *(f"{stamp}-{number}" for number in range(2, 1000))]:
        try:
            (runs / candidate).mkdir()
            return runs / candidate
        except FileExistsError:
            continue
    raise UserError(f'There is already a run named "{name or stamp}".', "Choose another name, or resume that run.")


def _known_runs(project: Path) -> str:
    names = sorted(path.parent.name for path in project.glob("runs/*/run.yaml"))
    return f"Its runs: {', '.join(names[-5:])}." if names else 'It has no runs yet: start one with "tunesmith train".'
