"""Threads between memory and the drive: what is written is read back, failures surface, a watcher hears of it all."""

from __future__ import annotations

import os
import time
import weakref
from pathlib import Path

import pytest

from studio.engine.stream.buffers import BufferPool
from studio.engine.stream.traffic import Traffic
from studio.errors import UserError
from studio.machine.drive_file import REQUEST_BYTES, DriveFile, make_file
from studio.models.store_layout import PAGE

SIZE = 2 * REQUEST_BYTES + PAGE


@pytest.fixture
def file(tmp_path: Path) -> DriveFile:
    make_file(tmp_path / "unit.bin", SIZE)
    return DriveFile(tmp_path / "unit.bin")


def test_a_new_size_takes_the_place_of_buffers_that_wait() -> None:
    """In use they stay, of the same size they are used again."""
    pool = BufferPool(pinned=False)
    kept, *free = [pool.take(4 * PAGE) for _ in range(3)]
    while free:
        pool.give(free.pop())
    again = pool.take(4 * PAGE)
    assert pool.held_bytes == 12 * PAGE
    larger = pool.take(8 * PAGE)
    assert pool.held_bytes == 16 * PAGE == len(again.memory) + len(kept.memory) + len(larger.memory)
    pool.give(kept)
    assert pool.take(4 * PAGE) is kept


def test_what_is_written_is_read_back_and_told(file: DriveFile) -> None:
    traffic, pool, heard = Traffic(), BufferPool(pinned=False), list[tuple[str, int]]()
    begun = time.perf_counter()

    def watch(what: str, since: float, size: int) -> None:
        assert begun <= since <= time.perf_counter()
        heard.append((what, size))

    traffic.watch = watch
    out, back, given = pool.take(SIZE), pool.take(SIZE), []
    out.bytes.random_(0, 256)
    traffic.write(file, out, 0, 0, SIZE, lambda: given.append(True))
    traffic.drain()
    traffic.wait(traffic.read(file, back, [(0, 0, SIZE)]))
    traffic.close()
    assert given == [True]
    assert (out.bytes == back.bytes).all()
    pieces = [PAGE, REQUEST_BYTES, REQUEST_BYTES]
    for what in ("read", "write"):
        assert sorted(size for kind, size in heard if kind == what) == pieces
    assert ("wait", 0) in heard
    assert (traffic.counts.read, traffic.counts.written) == (SIZE, SIZE)


def test_a_read_that_fails_is_raised_where_it_is_waited_for(file: DriveFile) -> None:
    traffic, pool = Traffic(), BufferPool(pinned=False)
    reading = traffic.read(file, pool.take(SIZE), [(PAGE, 0, SIZE)])
    with pytest.raises(UserError, match="ends early"):
        traffic.wait(reading)
    traffic.close()


def test_a_write_that_fails_is_raised_before_the_next_checkpoint(file: DriveFile) -> None:
    traffic, pool, given = Traffic(), BufferPool(pinned=False), []
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, file._descriptor)
    os.close(nothing)
    with pytest.raises(UserError, match="failed"):  # at once or when it is waited for, whichever comes first
        traffic.write(file, pool.take(PAGE), 0, 0, PAGE, lambda: given.append(True))
        traffic.drain()
    traffic.close()
    assert not given


def test_a_buffer_that_nobody_has_counts_no_more_and_a_given_one_is_used_again() -> None:
    pool = BufferPool(pinned=False)
    one = pool.take(PAGE)
    pool.give(one)
    assert pool.take(PAGE) is one
    assert pool.held_bytes == PAGE
    del one
    assert pool.held_bytes == 0


def test_buffers_go_with_their_pool() -> None:
    pool = BufferPool(pinned=False)
    pool.give(pool.take(PAGE))
    (waiting,) = pool._free[PAGE]
    gone = weakref.ref(waiting)
    del waiting, pool
    assert gone() is None
