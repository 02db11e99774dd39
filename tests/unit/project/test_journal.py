"""The journals: whole lines only, whatever happened to a writer."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.project.journal import CommandLog, EventLog, EventReader, history, read_events
from studio.protocol import commands, events


def a_step(number: int, loss: float = 1.0) -> events.Step:
    return events.Step(
        step=number, loss=loss, learning_rate=1e-4, grad_norm=1.0, tokens=8, trained_tokens=4, seconds=0.1
    )


def a_hello(step: int = 0) -> events.Hello:
    return events.Hello(job="train", pid=1, version="0", step=step, total_steps=10)


def test_events_come_back_numbered_and_dated(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.append(a_hello())
    log.append(a_step(1, float("nan")))
    log.close()
    log = EventLog(tmp_path / "events.jsonl")
    log.append(a_step(2))
    found = read_events(tmp_path / "events.jsonl").events
    assert [event.seq for event in found] == [1, 2, 3]
    assert all(event.time > 0 for event in found)
    step = found[1]
    assert isinstance(step, events.Step) and math.isnan(step.loss)


def test_a_torn_line_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    line = events.encode(a_step(1)).encode() + b"\n"
    path.write_bytes(line + line[:20])
    reader = EventReader(path)
    assert len(reader.poll()) == 1
    with path.open("ab") as file:
        file.write(line[20:])
    assert len(reader.poll()) == 1
    assert reader.num_skipped == 0


def test_lines_that_are_no_events_are_counted_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    newer = b'{"seq":9,"time":1,"type":"invented_next_year"}\n'
    path.write_bytes(b"\x00\xff garbage\n" + newer + events.encode(a_step(1)).encode() + b"\n[]\n")
    reader = EventReader(path)
    assert [type(event) for event in reader.poll()] == [events.Step]
    assert reader.num_skipped == 3


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_opening_heals_what_a_killed_writer_left(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "events.jsonl"
    whole = events.encode(a_step(1).model_copy(update={"seq": 4})).encode() + b"\n"
    path.write_bytes(whole + whole[:-cut])
    EventLog(path).append(a_step(2))
    reader = EventReader(path)
    found = reader.poll()
    assert reader.num_skipped == 0
    assert [event.seq for event in found] == ([4, 4, 5] if cut == 1 else [4, 5])


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_before_us_cost_no_later_event(tmp_path_factory: pytest.TempPathFactory, rubbish: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "events.jsonl"
    path.write_bytes(rubbish)
    EventLog(path).append(a_step(7))
    last = read_events(path).events[-1]
    assert isinstance(last, events.Step) and last.step == 7


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    threads = [
        threading.Thread(target=lambda: [log.append(events.Notice(text="x" * 500)) for _ in range(50)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reader = EventReader(tmp_path / "events.jsonl")
    assert sorted(event.seq for event in reader.poll(limit_bytes=1000) + reader.poll()) == list(range(1, 201))


def test_a_full_disk_loses_no_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    log = EventLog(tmp_path / "events.jsonl")
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) < 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:10])

    monkeypatch.setattr(os, "write", full)
    log.append(events.Notice(text="The disk is full."))
    monkeypatch.undo()
    log.append(a_step(1))
    reader = EventReader(tmp_path / "events.jsonl")
    assert [event.seq for event in reader.poll()] == [1, 2]
    assert reader.num_skipped == 0


def test_what_a_resumed_session_did_anew_replaces_the_first_try(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    for event in (a_hello(), a_step(1, 3.0), a_step(2, 2.9), events.Failed(kind="bug", message="x"), a_hello(1)):
        log.append(event)
    log.append(a_step(2, 2.0))
    found = history(tmp_path / "events.jsonl")
    assert [(event.step, event.loss) for event in found if isinstance(event, events.Step)] == [(1, 3.0), (2, 2.0)]
    assert not any(isinstance(event, events.Failed) for event in found)


def test_commands_reach_the_worker_once_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "commands.jsonl"
    CommandLog(path).append(commands.Save())
    worker, late = CommandLog(path), CommandLog(path, offset=None)
    with path.open("ab") as file:
        file.write(b'nonsense\n{"type":"st')  # somebody was killed while asking
    CommandLog(path).append(commands.Stop())
    assert [command.type for command in worker.poll()] == ["save", "stop"]  # type: ignore[attr-defined]
    assert worker.poll() == []
    assert [command.type for command in late.poll()] == ["stop"]  # type: ignore[attr-defined]
