"""The output of the apps' server: batches, and pipes that nobody reads."""

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps._server import output
from apps._server.output import BATCH, Output

PIPE = 65536


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The two ends of a pipe."""
    ends = os.pipe()
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE)
    yield ends
    for end in ends:
        os.close(end)


def read(end: int) -> bytes:
    """Read what a pipe has."""
    os.set_blocking(end, False)
    found = b""
    try:
        while piece := os.read(end, PIPE):
            found += piece
    except BlockingIOError:
        pass
    return found


def test_lines_are_written_in_batches(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    write = os.write

    def counted(fd: int, data: bytes) -> int:
        sizes.append(len(data))
        return write(fd, data)

    monkeypatch.setattr(os, "write", counted)
    log, line = Output(pipe[1]), b"x" * 99 + b"\n"
    for _ in range(100):
        log.write(line)
    log.flush()
    # 40 lines of 100 bytes are the most that a batch holds.
    assert sizes == [4000, 4000, 2000]
    assert read(pipe[0]) == line * 100


@given(lengths=st.lists(st.integers(1, 3 * BATCH), max_size=20))
def test_what_is_written_is_whole_and_in_order(lengths: list[int]) -> None:
    ends = os.pipe()
    try:
        fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, 1 << 20)
        log = Output(ends[1])
        lines = [b"%d" % (number % 10) * length for number, length in enumerate(lengths)]
        for line in lines:
            log.write(line)
        log.flush()
        assert read(ends[0]) == b"".join(lines)
    finally:
        for end in ends:
            os.close(end)


def test_a_full_pipe_stops_nobody_and_loses_nothing(pipe: tuple[int, int]) -> None:
    log = Output(pipe[1])
    lines = [json.dumps({"number": number}).encode() + b"\n" for number in range(20_000)]
    for line in lines:
        log.write(line)
    assert sum(map(len, lines)) > 2 * PIPE
    found = b""
    while piece := read(pipe[0]):
        found += piece
        log.flush()
    assert found == b"".join(lines)
    assert log.take_dropped() == 0


def test_what_is_dropped_is_counted(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "LONGEST_QUEUE", 10_000)
    log, line = Output(pipe[1]), b"x" * 999 + b"\n"
    for _ in range(200):
        log.write(line)
    assert log.take_dropped() == 0, "told while there is no room to say so"
    kept = 0
    while piece := read(pipe[0]):
        kept += piece.count(b"\n")
        log.flush()
    assert kept < 200
    assert log.take_dropped() == 200 - kept
    assert log.take_dropped() == 0


def test_the_mode_of_the_pipe_stays_as_it_is(pipe: tuple[int, int]) -> None:
    Output(pipe[1]).write(b"x")
    assert os.get_blocking(pipe[1])


def test_a_closed_pipe_stops_nobody() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        log = Output(writer)
        for _ in range(1000):
            log.write(b"x" * 1000)
        log.flush()
        log.close()
    finally:
        os.close(writer)


def test_a_file_keeps_what_others_have_written(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb", buffering=0) as file:
        file.write(b"before\n")
        log = Output(file.fileno())
        log.write(b"after\n")
        log.close()
    assert path.read_bytes() == b"before\nafter\n"
