"""Load by wrk: how many requests, and every one that failed."""

import re
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from loadbalancer.engine.wait import Wait

_COUNTED = """
local paths = {{ {paths} }}
local threads = {{}}
function setup(thread)
  table.insert(threads, thread)
end
function init() sent, got, seen = 0, 0, "" end
function delay() return {pause} end
function request()
  sent = sent + 1
  return wrk.format("GET", paths[(sent - 1) % #paths + 1])
end
function response(status, _, body)
  seen = seen .. body .. "=" .. status .. " "
  got = got + 1
  if got == {requests} then wrk.thread:stop() end
end
function done()
  for _, thread in ipairs(threads) do
    for answer in thread:get("seen"):gmatch("%S+") do io.write("answer: ", answer, "\\n") end
  end
end
"""

LONGEST = 1800
"""Seconds after which a load ends by itself, whatever becomes of the test."""

RATE = 100
"""Requests per second, which leave the machine time for what is tested."""

_CONNECTIONS = 8

_SCRIPT = """
wrk.method = "{method}"
wrk.body = [[{body}]]
{headers}
local threads = {{}}
function setup(thread) table.insert(threads, thread) end
function init() bad = "" end
function delay() return {pause} end
function response(status)
  if status ~= 200 then bad = bad .. status .. "@" .. os.time() .. " " end
end
function done(summary)
  io.write("requests: ", summary.requests, "\\n")
  for kind, count in pairs(summary.errors) do
    if count > 0 and kind ~= "status" then io.write("failed: ", kind, " ", count, "\\n") end
  end
  for _, thread in ipairs(threads) do
    for status in thread:get("bad"):gmatch("%S+") do io.write("failed: ", status, "\\n") end
  end
end
"""


@dataclass
class Load:
    """What a load has seen, once it has ended."""

    requests: int = 0
    failures: list[str] = field(default_factory=list)
    failed_at: list[int] = field(default_factory=list)
    """When answers other than 200 came, in seconds since the epoch."""


def _pause(connections: int, rate: int) -> int:
    """Milliseconds between two requests of a connection."""
    return round(1000 * connections / rate)


def _begin(url: str, script: Path, *, connections: int, threads: int) -> "subprocess.Popen[str]":
    """Start wrk; come back when all its threads are at work and it ends its run at SIGINT."""
    program = shutil.which("wrk")
    assert program, "wrk is missing: python3 -m toolchain --dev"
    options = [f"-c{connections}", f"-t{threads}", f"-d{LONGEST}", "--timeout", "30s", "-s"]
    process = subprocess.Popen(
        [program, *options, str(script), url], stdout=subprocess.PIPE, text=True
    )
    status = Path("/proc", str(process.pid), "status")

    def look() -> object:
        assert process.poll() is None, "wrk has ended at once"
        caught = re.findall(r"^SigCgt:\s*([0-9a-f]+)$", status.read_text(), re.MULTILINE)
        # Until this, which is the last thing it does, wrk ignores the signal.
        ready = caught and int(caught[0], 16) >> (signal.SIGINT - 1) & 1
        return None if ready else "no handler of SIGINT"

    try:
        Wait(120, 0.01).until("wrk to be at work", look)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return process


def _end(process: "subprocess.Popen[str]") -> str:
    """End a run of wrk; returns its report."""
    try:
        process.send_signal(signal.SIGINT)
        return process.communicate(timeout=120)[0]
    finally:
        process.kill()
        process.wait()


@contextmanager
def wrk(
    url: str,
    *,
    method: str,
    body: str = "",
    keep_alive: bool = True,
    rate: int = RATE,
) -> Iterator[Load]:
    """Send requests for as long as the block runs; the Load is filled when it ends.

    It sends at most so many requests per second, a little less as answers take their time.
    """
    headers = "" if keep_alive else 'wrk.headers["Connection"] = "close"'
    load = Load()
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "load.lua")
        pause = _pause(_CONNECTIONS, rate)
        script.write_text(_SCRIPT.format(method=method, body=body, headers=headers, pause=pause))
        process = _begin(url, script, connections=_CONNECTIONS, threads=1)
        try:
            yield load
        finally:
            output = _end(process)
    load.requests = int(re.findall(r"^requests: (\d+)", output, re.MULTILINE)[0])
    load.failures = re.findall(r"^failed: ([^@\n]*)", output, re.MULTILINE)
    load.failed_at = [int(at) for at in re.findall(r"^failed: \d+@(\d+)$", output, re.MULTILINE)]


@dataclass
class CountedLoad:
    """What came back to so many requests, once all are answered: by body and code."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)


@contextmanager
def counted(
    url: str, paths: Sequence[str], *, requests: int, threads: int
) -> Iterator[CountedLoad]:
    """Send so many requests from each thread while the block runs, and wait for the last answer.

    Each thread has one connection and one request at a time, so that none is cut off at the end.
    """
    load = CountedLoad()
    quoted = ", ".join(f"[[{path}]]" for path in paths)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "counted.lua")
        pause = _pause(threads, 4 * RATE)
        script.write_text(_COUNTED.format(paths=quoted, pause=pause, requests=requests))
        process = _begin(url, script, connections=threads, threads=threads)
        try:
            yield load
            # Its threads end with their last answer, and its first one sleeps on.
            tasks = Path("/proc", str(process.pid), "task")

            def look() -> object:
                number = len(list(tasks.iterdir())) - 1
                return f"{number} threads still send" if number else None

            Wait(LONGEST, 0.1).until("the last answer", look)
        finally:
            output = _end(process)
    found = re.findall(r"^answer: (\S+)=(\d+)$", output, re.MULTILINE)
    load.answers = Counter((body, int(code)) for body, code in found)
