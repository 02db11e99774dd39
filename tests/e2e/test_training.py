"""Training runs on toy models: loss falls, stopping and resuming changes nothing, results are right on the base."""

from __future__ import annotations

import itertools
import math
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch

from studio.engine.load import load_base, load_tuned
from studio.errors import Cancelled, UserError
from studio.project.journal import EventReader
from studio.protocol import commands, events
from tests.helpers.small_run import assert_same_result, losses, make_run, result_tensors, start_worker, train_here

VARIANTS = {
    "lora": {"key": "lora"},
    "lora-dropout": {"key": "lora", "dropout": 0.1},
    "dora": {"key": "lora", "dora": True},
    "pissa": {"key": "lora", "init": "pissa", "rank": 8},
    "olora": {"key": "lora", "init": "olora", "rank": 8, "rank_stabilised": False},
    "mica": {"key": "lora", "init": "mica", "rank": 8},
    "qlora": {"key": "qlora"},
    "full": {"key": "full"},
}


def _stop_at(step: int, heard: list[events.Event], wish: commands.Command):
    def poll() -> list[commands.Command]:
        last = [event.step for event in heard if isinstance(event, events.Step)]
        return [wish] if last and last[-1] == step else []

    return poll


@pytest.mark.parametrize("variant", VARIANTS)
def test_learns_and_resumes_exactly(variant: str, tmp_path: Path) -> None:
    """Loss falls, and a run that was paused between checkpoints ends with the same bits as one that was not."""
    method = VARIANTS[variant]
    straight = make_run(tmp_path, method=method, name="straight")
    heard = train_here(straight)
    assert losses(heard)[-1] < losses(heard)[0]
    assert heard[-1].reason == "finished"  # type: ignore[attr-defined]

    from studio.worker.training import train

    paused = make_run(tmp_path, method=method, name="paused")
    first: list[events.Event] = []
    done = train(paused, first.append, _stop_at(7, first, commands.Pause()), resume=False)
    assert done.reason == "paused" and not paused.result_dir.exists()
    second = train_here(paused, resume=True)
    assert losses(first) + losses(second) == losses(heard)
    assert_same_result(straight, paused)


def test_pause_while_rows_are_still_read(tmp_path: Path) -> None:
    """It is a pause like any other: no result, no failure, and going on gives what an untouched run gives."""
    straight, paused = make_run(tmp_path, name="straight"), make_run(tmp_path, name="paused")
    asked = iter([[commands.Pause()]])
    (*_, last) = train_here(paused, poll=lambda: next(asked, []))
    assert (last.reason, last.step) == ("paused", 0)  # type: ignore[attr-defined]
    assert not paused.result_dir.exists()
    assert losses(train_here(paused, resume=True)) == losses(train_here(straight))
    assert_same_result(straight, paused)


def test_pause_while_a_step_waits_for_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training starts while a large file is still tokenised: what was learned until then is saved."""
    from studio.data.batches import Batches

    straight, paused = make_run(tmp_path, name="straight"), make_run(tmp_path, name="paused")
    expected, waiting, iterate = losses(train_here(straight)), [], Batches.iterate

    def starved(self: Batches, start: int, **share: int):
        yield from itertools.islice(iterate(self, start, **share), 7)
        waiting.append(commands.Pause())
        raise Cancelled  # as `GrowingRows.wait` does when it is told so

    monkeypatch.setattr(Batches, "iterate", starved)
    heard = train_here(paused, poll=lambda: waiting)
    assert heard[-1].reason == "paused" and heard[-1].step == 7  # type: ignore[attr-defined]
    monkeypatch.setattr(Batches, "iterate", iterate)
    assert losses(heard) + losses(train_here(paused, resume=True)) == expected
    assert_same_result(straight, paused)


@pytest.mark.parametrize("variant", ["lora", "pissa", "olora", "mica", "dora"])
def test_result_is_right_on_the_untouched_base(variant: str, tmp_path: Path) -> None:
    """A method may move the base's weights about while training; what it saves must not need to know."""
    run = make_run(tmp_path, method=VARIANTS[variant])
    heard = train_here(run)
    last = [event for event in heard if isinstance(event, events.Eval)][-1]
    from studio.worker.evaluation import evaluate
    from studio.worker.job import Context

    report = evaluate(run, None, Context(emit=lambda event: None))
    assert report["tuned"]["loss"] == pytest.approx(last.loss, abs=1e-5)
    assert report["base"]["loss"] > report["tuned"]["loss"]


def test_adapter_record_holds_no_path(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    train_here(run)
    assert str(tmp_path) not in (run.result_dir / "adapter_config.json").read_text()


def test_samples_are_asked_in_the_rows_own_words(tmp_path: Path) -> None:
    heard = train_here(make_run(tmp_path, steps=2, samples=2, eval_every=1))
    samples = [event for event in heard if isinstance(event, events.Sample)]
    assert [sample.step for sample in samples] == [0, 0, 1, 1, 2, 2]
    rows = (tmp_path / "rows.jsonl").read_text()
    assert all(f'"content": "{sample.prompt}"' in rows for sample in samples)


def test_tuned_model_differs_from_base(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    train_here(run)
    base = tmp_path / "llama"
    ids = torch.arange(1, 20)[None]
    with torch.no_grad():
        before = load_base(base, dtype="float32")(input_ids=ids).logits
        after = load_tuned(base, run.result_dir, dtype="float32")(input_ids=ids).logits
    assert (before - after).abs().max() > 0.1


def test_full_result_keeps_the_dtype_and_size_of_the_base(tmp_path: Path) -> None:
    run = make_run(tmp_path, method={"key": "full"})
    train_here(run)
    stored = {tensor.dtype for tensor in load_base(tmp_path / "llama").state_dict().values()}
    assert {tensor.dtype for tensor in result_tensors(run).values()} == stored


def test_packing_gives_the_loss_of_single_rows(tmp_path: Path) -> None:
    """One step over all rows, packed or not: the same tokens, so the same loss and gradient."""
    settings = {"steps": 1, "batch_size": 64, "max_length": 128, "checkpoint_every": 0, "eval_every": 1}
    plain = train_here(make_run(tmp_path, name="plain", **settings))
    packed = train_here(make_run(tmp_path, name="packed", packing=True, **settings))
    one, other = (next(e for e in heard if isinstance(e, events.Step)) for heard in (plain, packed))
    assert one.trained_tokens == other.trained_tokens and one.tokens == other.tokens
    assert other.loss == pytest.approx(one.loss, abs=1e-5)
    assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-4)


def test_accumulation_equals_one_large_batch(tmp_path: Path) -> None:
    large = train_here(make_run(tmp_path, name="large", batch_size=8, steps=6))
    small = train_here(make_run(tmp_path, name="small", batch_size=2, accumulation=4, steps=6))
    assert losses(small) == pytest.approx(losses(large), abs=1e-5)


def test_recomputed_activations_change_nothing(tmp_path: Path) -> None:
    plain = train_here(make_run(tmp_path, name="plain", steps=5))
    spare = train_here(make_run(tmp_path, name="spare", steps=5, activation_checkpointing=True))
    assert losses(spare) == pytest.approx(losses(plain), abs=1e-5)


def test_bf16_and_neftune_learn(tmp_path: Path) -> None:
    heard = train_here(make_run(tmp_path, precision="bf16", neftune_alpha=5.0))
    assert losses(heard)[-1] < losses(heard)[0]


@pytest.mark.parametrize("key", ["adamw_8bit", "paged_adamw", "paged_adamw_8bit", "lion_8bit", "adafactor", "sgd"])
def test_optimizers_learn_and_resume(key: str, tmp_path: Path) -> None:
    from studio.worker.training import train
    from tests.helpers.small_run import QUICK

    rate = {"sgd": 1.0, "lion_8bit": 2e-3, "adafactor": 2e-2}.get(key, QUICK["learning_rate"])
    runs = []
    for name in ("straight", "paused"):
        run = make_run(tmp_path, name=name, learning_rate=rate)
        spec = run.frozen_spec().model_copy(update={"optimizer": _optimizer(key)})
        record = {**run.record(), "spec": spec.model_dump(mode="json", exclude={"version"})}
        from studio.spec.file import dump

        run.spec_path.write_text(dump(record))
        runs.append(run)
    heard = train_here(runs[0])
    assert min(losses(heard)[-3:]) < losses(heard)[0]
    first: list[events.Event] = []
    train(runs[1], first.append, _stop_at(7, first, commands.Pause()), resume=False)
    train_here(runs[1], resume=True)
    assert_same_result(*runs)


def _optimizer(key: str):
    from studio.optimizers import OPTIMIZERS

    return OPTIMIZERS.get(key).Params()


def test_early_stopping_keeps_the_best(tmp_path: Path) -> None:
    """A learning rate that ruins the model: the run ends early and its result is the best evaluation's."""
    run = make_run(tmp_path, steps=60, learning_rate=0.3, eval_every=2, early_stopping=2, checkpoint_every=0)
    heard = train_here(run)
    assert heard[-1].reason == "early_stop"  # type: ignore[attr-defined]
    best = min((event for event in heard if isinstance(event, events.Eval) and event.step), key=lambda e: e.loss)
    from studio.worker.evaluation import evaluate
    from studio.worker.job import Context

    report = evaluate(run, None, Context(emit=lambda event: None))
    assert report["tuned"]["loss"] == pytest.approx(best.loss, abs=1e-5)


def test_divergence_is_said_and_the_checkpoint_is_safe(tmp_path: Path) -> None:
    """An adapter blown up between two sessions: the step after it has no finite loss."""
    run = make_run(tmp_path, checkpoint_every=4)
    heard: list[events.Event] = []
    from studio.worker.training import train

    train(run, heard.append, _stop_at(5, heard, commands.Pause()), resume=False)
    weights = run.weights(5) / "adapter_model.safetensors"
    from safetensors.torch import load_file, save_file

    from studio.engine.checkpoint import seal

    save_file({name: tensor * 1e30 for name, tensor in load_file(weights).items()}, weights)
    (run.checkpoint_dir(5) / "manifest.json").unlink()
    seal(run.checkpoint_dir(5))
    with pytest.raises(UserError, match=r"diverged at step 6.*step 5 is safe") as error:
        train_here(run, resume=True)
    assert "learning rate" in error.value.hint
    assert run.checkpoints()[-1] == 5


def test_resume_refuses_another_base(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    config = tmp_path / "llama" / "config.json"
    config.write_text(config.read_text() + "\n")
    with pytest.raises(UserError, match="not the one"):
        train_here(run, resume=True)


@pytest.mark.slow
def test_killed_and_resumed_ends_with_the_same_bits(tmp_path: Path) -> None:
    """kill -9 at random moments; the bench `tests.bench.kill` does it twenty times."""
    straight = make_run(tmp_path, name="straight", steps=40, checkpoint_every=3)
    train_here(straight)
    killed = make_run(tmp_path, name="killed", steps=40, checkpoint_every=3)
    draw = random.Random(1)
    for resume in (False, True):
        worker = start_worker(killed, resume=resume)
        _wait_for_step(killed, at_least=draw.randint(4, 12))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        assert killed.state().status == "interrupted"
    assert start_worker(killed, resume=True).wait() == 0
    assert killed.state().status == "done"
    assert_same_result(straight, killed)


def _wait_for_step(run, *, at_least: int) -> None:
    """Until this session has made some steps, or is done."""
    reader = EventReader(run.events_path, run.events_path.stat().st_size if run.events_path.exists() else 0)
    deadline, steps = time.monotonic() + 120, 0
    while steps < at_least and time.monotonic() < deadline:
        for event in reader.poll():
            steps += isinstance(event, events.Step)
            if isinstance(event, events.Done):
                return
        time.sleep(0.005)
    assert steps, run.log_path.read_text()[-2000:]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs prlimit")
def test_full_disk_pauses_and_goes_on(tmp_path: Path) -> None:
    """A file-size limit stands in for the full disk: the system refuses the write in the same way."""
    import resource

    run = make_run(tmp_path, steps=12, checkpoint_every=4)
    limit = 150_000
    worker = start_worker(run, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, -1)))
    reader = EventReader(run.events_path)
    heard: list[events.Event] = []
    _gather(reader, heard, lambda: any(isinstance(e, events.Notice) and "full" in e.text for e in heard), worker)
    assert not any(isinstance(event, events.Checkpoint) for event in heard)
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (-1, -1))
    assert worker.wait(timeout=120) == 0
    heard += reader.poll()
    assert any(isinstance(event, events.Checkpoint) for event in heard)
    assert len(losses(heard)) == 12
    straight = make_run(tmp_path, name="straight", steps=12, checkpoint_every=4)
    train_here(straight)
    assert_same_result(straight, run)


def _gather(reader, heard, is_enough, worker) -> None:
    deadline = time.monotonic() + 120
    while not is_enough() and time.monotonic() < deadline:
        heard += reader.poll()
        assert worker.poll() is None, "the worker ended"
        time.sleep(0.02)
    assert is_enough()


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Path) -> None:
    """DDP on two CPU processes against one process with twice the accumulation."""
    from studio.project.launch import start_run

    one = make_run(tmp_path, name="one", accumulation=2)
    heard = train_here(one)
    two = make_run(tmp_path, name="two")
    start_run(two, processes=2)
    reader, together = EventReader(two.events_path), []
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and not any(isinstance(e, events.Done | events.Failed) for e in together):
        together += reader.poll()
        time.sleep(0.1)
    assert losses(together) == pytest.approx(losses(heard), abs=1e-5), two.log_path.read_text()[-2000:]
    evals = [[e.loss for e in found if isinstance(e, events.Eval)] for found in (heard, together)]
    assert evals[1] == pytest.approx(evals[0], abs=1e-5)
    assert math.isfinite(evals[0][-1])
