"""Standard output and standard error, written without waiting for a reader."""

import contextlib
import io
import os
import select
import stat
import sys
import threading
import time
from collections import deque
from typing import Any

BATCH = 4096
"""Bytes that are written at once: a pipe takes them whole (PIPE_BUF), so that the lines of several
processes do not mix."""

LONGEST_QUEUE = 1 << 20
"""Bytes that wait for a reader. Lines that come when it is full are dropped and counted."""

EXIT_SECONDS = 1.0
"""How long the end of the process waits for a reader."""


class Output:
    """Collects lines, and writes them in batches.

    A pipe without a reader is full after 64 KiB, and a write to it waits for ever. So a pipe is
    opened again in the mode that does not wait, which does not change it for other processes.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._mutex = threading.Lock()
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._dropped = 0
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            # Where that is not permitted, only a race of several processes for the last free bytes
            # of the pipe can make a write wait.
            with contextlib.suppress(OSError):
                self._fd = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLOUT)

    def write(self, line: bytes) -> None:
        """Add a line to the next batch; an output that is full or closed loses it."""
        with self._mutex:
            if self._size + len(line) > BATCH:
                self._write()
            if self._size + len(line) > LONGEST_QUEUE:
                self._dropped += 1
                return
            self._lines.append(line)
            self._size += len(line)

    def flush(self) -> None:
        """Write what was collected, as far as the reader keeps up."""
        with self._mutex:
            self._write()

    def take_dropped(self) -> int:
        """Return the number of lines dropped since the last call, once there is room again."""
        with self._mutex:
            if self._size:
                return 0
            dropped, self._dropped = self._dropped, 0
            return dropped

    def close(self) -> None:
        """Write what was collected, waiting for a reader for EXIT_SECONDS."""
        end = time.monotonic() + EXIT_SECONDS
        self.flush()
        while self._size and (left := end - time.monotonic()) > 0:
            self._poll.poll(left * 1000)
            self.flush()

    def _write(self) -> None:
        while self._lines:
            batch = bytearray(self._lines.popleft())
            while self._lines and len(batch) + len(self._lines[0]) <= BATCH:
                batch += self._lines.popleft()
            self._size -= len(batch)
            rest = self._write_now(bytes(batch))
            if rest:
                self._lines.appendleft(rest)
                self._size += len(rest)
                return

    def _write_now(self, data: bytes) -> bytes:
        """Write data; return the rest if the output takes no more of it now."""
        try:
            while data and self._poll.poll(0):
                data = data[os.write(self._fd, data[:BATCH]) :]
        except BlockingIOError:
            return data
        except OSError:
            # The reader is gone for good.
            return b""
        return data


class _Raw(io.RawIOBase):
    """An Output as the base of a text stream."""

    def __init__(self, output: Output, fd: int) -> None:
        super().__init__()
        self._output = output
        self._fd = fd

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def write(self, data: Any) -> int:
        self._output.write(bytes(data))
        self._output.flush()
        return len(data)


class Streams:
    """Both streams of the process; ``print`` and ``logging`` write through them as well."""

    def __init__(self) -> None:
        self.out = Output(1)
        self.err = Output(2)
        sys.stdout = _text(self.out, 1)
        sys.stderr = _text(self.err, 2)

    def flush(self) -> None:
        """Write what was collected, and how many lines were dropped; called every second."""
        self.out.flush()
        self.err.flush()
        dropped = self.out.take_dropped() + self.err.take_dropped()
        if dropped:
            self.err.write(f"{dropped} lines of output were dropped: nobody read them.\n".encode())
            self.err.flush()

    def close(self) -> None:
        """Write what is left at the end of the process."""
        sys.stdout.flush()
        sys.stderr.flush()
        self.flush()
        self.out.close()
        self.err.close()


def _text(output: Output, fd: int) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        _Raw(output, fd),  # type: ignore[arg-type]
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )
