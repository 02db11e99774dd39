"""Memory that runs out at each phase of a run: it goes on as it would have, or stops with the cause and the ladder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from studio.cli import run as run_command
from studio.data.batches import Batch
from studio.engine.checkpoint import Checkpoints
from studio.engine.lm_loss import LmLoss
from studio.engine.loop import Loop
from studio.engine.out_of_memory import cap_memory, is_out_of_memory
from studio.engine.rescue import divide
from studio.engine.rows import lay_out
from studio.errors import UserError
from studio.project.folder import Project
from studio.protocol import events
from studio.sizes import human_bytes
from tests.helpers.small_run import assert_same_result, losses, make_run, result_tensors, train_here

FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def notices(heard: list[events.Event]) -> list[str]:
    return [event.text for event in heard if isinstance(event, events.Notice) and event.severity == "warning"]


@pytest.fixture
def small_card(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, bool], None]:
    """A card that cannot hold the activations of more than so many tokens."""
    forward = LmLoss.forward

    def install(most_tokens: int, training: bool) -> None:
        def limited(self: LmLoss, input_ids: torch.Tensor, *rest: Any) -> Any:
            is_recomputed = any(getattr(module, "gradient_checkpointing", False) for module in self.model.modules())
            if self.training == training and input_ids.shape[1] > most_tokens and not is_recomputed:
                raise FULL
            return forward(self, input_ids, *rest)

        monkeypatch.setattr(LmLoss, "forward", limited)

    return install


ONE_ROW = 45
"""Tokens of about one row of the toy's."""


def test_a_step_that_does_not_fit_is_read_in_pieces(tmp_path: Path, small_card: Callable[[int, bool], None]) -> None:
    whole, cut = make_run(tmp_path, name="whole"), make_run(tmp_path, name="cut")
    expected = losses(train_here(whole))
    small_card(ONE_ROW, True)
    heard = train_here(cut)
    assert losses(heard) == pytest.approx(expected, rel=1e-4)
    assert len(losses(heard)) == 12
    assert "in step 1" in notices(heard)[0] and "2 pieces" in notices(heard)[0]
    for name, tensor in result_tensors(whole).items():
        assert torch.allclose(tensor, result_tensors(cut)[name], atol=1e-3), name


def test_memory_that_runs_out_later_is_checkpointed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, calls = make_run(tmp_path, checkpoint_every=0), []
    accumulate = Loop.accumulate

    def failing(self: Loop, rows: Any, trained: float) -> float:
        calls.append(len(rows))
        if len(calls) == 8:
            raise FULL
        return accumulate(self, rows, trained)

    monkeypatch.setattr(Loop, "accumulate", failing)
    heard = train_here(run)
    assert next(event.step for event in heard if isinstance(event, events.Checkpoint)) == 7
    assert calls[:9] == [1] * 8 + [2]
    assert [event.step for event in heard if isinstance(event, events.Step)] == list(range(1, 13))


def test_what_was_given_up_survives_a_resume(tmp_path: Path, small_card: Callable[[int, bool], None]) -> None:
    straight, broken = make_run(tmp_path, name="a"), make_run(tmp_path, name="b")
    small_card(ONE_ROW, True)
    train_here(straight)
    from studio.protocol.commands import Pause

    asked = iter([[], [], [], [Pause()]])
    train_here(broken, poll=lambda: next(asked, []))
    newest = Checkpoints(broken.checkpoints_dir, keep=2).newest()
    assert newest is not None
    state = json.loads((newest / "state.json").read_text())
    assert state["pieces"] > 1
    heard = train_here(broken, resume=True)
    assert not notices(heard)
    assert_same_result(straight, broken)


def test_where_rows_cannot_be_cut_activations_are_recomputed(
    tmp_path: Path, small_card: Callable[[int, bool], None]
) -> None:
    run = make_run(tmp_path, batch_size=1)
    small_card(1, True)
    heard = train_here(run)
    assert len(losses(heard)) == 12
    assert "recomputed" in notices(heard)[0]


def test_with_nothing_left_it_stops_with_cause_and_ladder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path)
    calls: list[int] = []
    accumulate = Loop.accumulate

    def failing(self: Loop, rows: Any, trained: float) -> float:
        calls.append(1)
        if len(calls) > 6:
            raise FULL
        return accumulate(self, rows, trained)

    monkeypatch.setattr(Loop, "accumulate", failing)
    with pytest.raises(UserError) as stopped:
        train_here(run)
    assert "Memory ran out in step 7" in stopped.value.message
    assert "The checkpoint of step 6 is safe." in stopped.value.message
    assert any("train.batch_size" in problem.path for problem in stopped.value.problems)


def _full(*_: Any, **__: Any) -> Any:
    raise FULL


@pytest.mark.parametrize(
    "error",
    [FULL, OSError(12, "Cannot allocate memory"), RuntimeError("unable to mmap 8 bytes: Cannot allocate memory (12)")],
)
def test_loading(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the library reads the weights, which would take any other error for a model that it cannot read."""
    from transformers import AutoModelForCausalLM

    def full(*_: Any, **__: Any) -> Any:
        raise error

    run = make_run(tmp_path)
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", full)
    with pytest.raises(UserError, match="while the model was loaded") as stopped:
        train_here(run)
    assert stopped.value.problems


def test_worker_and_command_line_tell_the_same_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a run is said to need when memory ran out is what `plan` said of it: of its own rows, not the longest."""
    run = make_run(tmp_path)
    monkeypatch.setattr(Loop, "accumulate", _full)
    with pytest.raises(UserError) as stopped:
        train_here(run)
    project = Project.create(tmp_path / "project", run.spec())
    assert run_command(["plan", str(project.folder), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["methods"]["lora"]["peak_bytes"]
    assert f"calculated to need {human_bytes(said)}." in stopped.value.message


def test_the_optimizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an optimizer step cannot be taken back: the run stops, and says why."""
    run = make_run(tmp_path)
    monkeypatch.setattr(torch.optim.AdamW, "step", _full)
    with pytest.raises(UserError, match="when the optimizer made step 1"):
        train_here(run)


def test_evaluation(tmp_path: Path, small_card: Callable[[int, bool], None]) -> None:
    whole, cut = make_run(tmp_path, name="whole"), make_run(tmp_path, name="cut")
    expected = [event.loss for event in train_here(whole) if isinstance(event, events.Eval)]
    small_card(ONE_ROW, False)
    heard = train_here(cut)
    assert [event.loss for event in heard if isinstance(event, events.Eval)] == pytest.approx(expected, rel=1e-3)
    assert "in the evaluation" in notices(heard)[0]


def test_sample_answers_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from studio.worker import training

    monkeypatch.setattr(training, "answer_all", _full)
    heard = train_here(make_run(tmp_path, samples=2))
    assert "while sample answers were written" in notices(heard)[0]
    assert len(losses(heard)) == 12


@pytest.mark.parametrize("failures", [1, 2])
def test_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int) -> None:
    """Once it is tried again with everything spare given back; twice, training goes on to the next one."""
    write, left = Loop.write_checkpoint, [FULL] * failures

    def failing(self: Loop, folder: Path, **states: Any) -> None:
        if left:
            raise left.pop()
        write(self, folder, **states)

    monkeypatch.setattr(Loop, "write_checkpoint", failing)
    heard = train_here(make_run(tmp_path))
    assert len(losses(heard)) == 12
    assert [event.step for event in heard if isinstance(event, events.Checkpoint)] == [5, 10, 12][failures - 1 :]
    assert bool(notices(heard)) == (failures == 2)


@pytest.mark.parametrize(
    ("platform", "share", "expected"), [("linux", 0.9, 0.9), ("linux", 1.0, 1.0), ("win32", 1.0, 0.96)]
)
def test_a_card_is_capped_before_it_spills(
    platform: str, share: float, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch is told the share; on Windows always less than all, because a full card there is lent system memory."""
    told: list[tuple[float, str]] = []
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda *said: told.append((said[0], str(said[1])))
    )
    monkeypatch.setattr("sys.platform", platform)
    cap_memory(torch.device("cpu"), share)
    cap_memory(torch.device("cuda:1"), share)
    assert told == [(expected, "cuda:1")]


def test_pieces_hold_the_same_tokens() -> None:
    import numpy as np

    lengths = [5, 9, 3, 7]
    ids, labels, positions, mask = (np.zeros((4, 9), dtype=np.int64) for _ in range(4))
    for row, length in enumerate(lengths):
        ids[row, :length] = np.arange(length) + 10 * row
        labels[row, :length] = ids[row, :length]
        labels[row, 0] = -100
        positions[row, :length] = np.arange(length)
        mask[row, :length] = 1
    batch = Batch(ids, labels, positions, mask.astype(bool), False, sum(lengths), sum(lengths) - 4, (0, 1, 2, 3))
    rows = lay_out(batch, torch.device("cpu"))
    for pieces in (1, 2, 3, 4, 9):
        parts = divide(rows, pieces)
        assert len(parts) == min(pieces, 4)
        assert torch.equal(torch.cat([part.input_ids for part in parts], 1), rows.input_ids)
        assert torch.equal(torch.cat([part.targets for part in parts]), rows.targets)
        assert sum((part.row_lengths for part in parts), ()) == rows.row_lengths
        for part in parts:
            assert torch.equal(part.targets, part.input_ids[0, part.index + 1])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (FULL, True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (OSError(28, "No space left on device"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_counts_as_out_of_memory(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) == expected
