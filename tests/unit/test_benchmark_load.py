"""What the benchmark reads: wrk's report, and processes."""

import os

import pytest

from benchmarks import load, processes
from benchmarks.load import Case, Wrk
from benchmarks.processes import APPS, BALANCER, ENGINE, PORT_PROXY, Process

REPORT = """\
Running 2s test @ http://127.0.0.1:8080/bytes/1024
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     6.71ms    3.20ms  41.52ms   79.53%
    Req/Sec     4.87k   512.28     5.72k    70.00%
  Latency Distribution
     50%  500.00us
     75%    8.08ms
     90%   10.43ms
     99%    1.18s
  9727 requests in 2.01s, 11.32MB read
Requests/sec:   4846.23
Transfer/sec:      5.64MB
"""
ERRORS = """\
  Socket errors: connect 1, read 20, write 300, timeout 4000
  Non-2xx or 3xx responses: 50000
"""
ID = "a1" * 32
ONE = "b2" * 32


def test_a_report_is_read_in_milliseconds() -> None:
    assert load.parse(REPORT) == Wrk(9727, 4846.23, 0.5, 1180.0, 0)


def test_every_kind_of_failure_counts() -> None:
    text = REPORT.replace("Requests/sec:", f"{ERRORS}Requests/sec:")
    assert load.parse(text).failed == 54321


@pytest.mark.parametrize("text", ["", "unable to connect", REPORT.replace("     99%", "     98%")])
def test_what_is_no_report_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="not a report of wrk"):
        load.parse(text)


def test_wrk_asks_for_the_size_on_connections_that_stay_or_do_not() -> None:
    kept = load.command("http://a:1", Case(32, True, 1024), 2.0)
    assert kept[-1] == "http://a:1/bytes/1024"
    assert {"-c32", "-d2s", "--latency"} <= set(kept)
    assert "Connection: close" not in kept
    assert "Connection: close" in load.command("http://a:1", Case(32, False, 1024), 2.0)


@pytest.mark.parametrize(
    ("name", "cgroup", "expected"),
    [
        ("nginx", f"9:name=systemd:/docker/{ID}\n8:pids:/docker/{ID}\n", BALANCER),
        ("nginx", f"0::/system.slice/docker-{ID}.scope\n", BALANCER),
        ("python", f"0::/docker/{ONE}\n", APPS),
        ("python", f"0::/docker/{'c3' * 32}\n", None),
        ("docker-proxy", "0::/system.slice/docker.service\n", PORT_PROXY),
        ("dockerd", "0::/\n", ENGINE),
        ("containerd-shim", "0::/\n", ENGINE),
        ("python", "0::/\n", None),
        # An engine in a container of the same engine has no part.
        ("dockerd", f"0::/docker/{'c3' * 32}\n", None),
    ],
)
def test_the_role_of_a_process(name: str, cgroup: str, expected: str | None) -> None:
    assert processes.role(name, cgroup, {ID: BALANCER, ONE: APPS}) == expected


def test_processor_time_is_read_past_a_name_with_a_bracket() -> None:
    hertz = os.sysconf("SC_CLK_TCK")
    fields = " ".join(["S", *["0"] * 10, str(3 * hertz), str(2 * hertz), "7", "7"])
    assert processes.name_and_seconds(f"12 (a) b (c) {fields}") == ("a) b (c", 5.0)
    busy = f"cpu  {hertz} {hertz} {2 * hertz} 9 9 9 9\ncpu0 1 1 1\n"
    assert processes.busy_seconds(busy) == 4.0


def test_time_counts_from_the_first_look_or_the_start_of_the_process() -> None:
    before = {1: Process(APPS, 1.0), 2: Process(APPS, 5.0), 3: Process(BALANCER, 2.0)}
    after = {1: Process(APPS, 1.5), 3: Process(BALANCER, 4.0), 4: Process(APPS, 0.25)}
    assert processes.spent(before, after) == {
        APPS: 0.75,
        BALANCER: 2.0,
        PORT_PROXY: 0.0,
        ENGINE: 0.0,
    }


def test_a_process_of_another_role_with_the_same_number_is_new() -> None:
    spent = processes.spent({1: Process(ENGINE, 9.0)}, {1: Process(APPS, 0.5)})
    assert (spent[APPS], spent[ENGINE]) == (0.5, 0.0)
