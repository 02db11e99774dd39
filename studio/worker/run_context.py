"""What a run's spec names, opened: base model folder, tokenizer, tokenised rows. Shared by the jobs that need them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from studio.data.source import first_rows, open_source
from studio.data.training_data import DataRequest, TrainingData, open_training_data
from studio.formats import Recognised, recognise
from studio.models.source import resolve_model
from studio.models.tokenizer import ChatTokenizer
from studio.project.runs import Run
from studio.spec.run_spec import RunSpec


@dataclass(frozen=True)
class RunContext:
    """A run's parts, opened."""

    spec: RunSpec
    base: Path
    tokenizer: ChatTokenizer

    def recognised(self) -> Recognised:
        """The rows' format and columns.

        Raises:
            UserError: no format fits, or the file cannot be read.
        """
        data = self.spec.data
        return recognise(first_rows(open_source(Path(data.path))), data.columns, data.format)

    def data(
        self,
        *,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> TrainingData:
        """The run's rows as tokens; from the cache when they were tokenised before.

        Raises:
            UserError: the file, its format or its rows cannot be used.
        """
        data, found = self.spec.data, self.recognised()
        request = DataRequest(
            path=Path(data.path),
            format=found.format.key,
            columns=found.columns,
            train_on=data.train_on,
            truncation=data.truncation,
            bad_rows=data.bad_rows,
            max_length=self.spec.train.max_length,
            holdout=data.holdout,
            seed=self.spec.train.seed,
        )
        return open_training_data(
            request,
            found,
            self.tokenizer,
            on_progress=on_progress,
            is_cancelled=is_cancelled,
        )


def open_run(run: Run) -> RunContext:
    """Open what a run's frozen spec names.

    Raises:
        UserError: the base model is not there any more, or has no tokenizer.
    """
    spec = run.spec()
    base = resolve_model(spec.model.source, spec.model.revision)
    return RunContext(spec=spec, base=base, tokenizer=ChatTokenizer.load(base))
