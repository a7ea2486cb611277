"""The counters: read over HTTP, parsed and subtracted."""

import json
import socket
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadbalancer import metrics
from loadbalancer.metrics import MetricsError, reading
from loadbalancer.metrics.histogram import BOUNDS, Histogram
from loadbalancer.metrics.reading import AppReading, Reading
from loadbalancer.metrics.window import AppWindow, since
from loadbalancer.names import APP_NAME
from tests.exposition import admin_port, app, render

COUNTS = st.integers(0, 2**53)
CODES = st.dictionaries(st.integers(100, 599), COUNTS, max_size=4)
OUTCOMES = ("answered", "connect_failed", "timeout", "error", "aborted")
RATIOS = st.floats(0, 1)
HISTOGRAMS = st.builds(
    Histogram,
    counts=st.lists(st.integers(0, 2**40), min_size=16, max_size=16).map(tuple),
    sum=st.floats(0, 2**40),
)
SERVERS = st.integers(0, 100)
APPS = st.one_of(
    st.builds(
        AppReading,
        requests=CODES,
        attempts=st.fixed_dictionaries(dict.fromkeys(OUTCOMES, COUNTS)),
        request_duration=HISTOGRAMS,
        upstream_duration=HISTOGRAMS,
        header_duration=HISTOGRAMS,
        received=COUNTS,
        sent=COUNTS,
        weight=st.integers(0, 1000),
        share=RATIOS,
        servers_up=SERVERS,
        servers_down=SERVERS,
        ejected=st.dictionaries(
            st.integers(1, 9).map("server{}:5001".format), st.sampled_from(sorted(reading.EJECTED))
        ),
    ),
    st.builds(AppReading, requests=CODES, received=COUNTS),
)
READINGS = st.builds(
    Reading,
    time=st.floats(0, 2e9),
    version=st.from_regex("[0-9a-f]{12}", fullmatch=True),
    changed=st.floats(0, 2e9),
    apps=st.dictionaries(st.from_regex(APP_NAME, fullmatch=True), APPS, max_size=3),
    unrouted=CODES,
    connections=st.fixed_dictionaries(dict.fromkeys(("active", "reading"), COUNTS)),
    lost=COUNTS,
)
EARLIER = Reading(100.0, "0123456789ab", 50.0, {"app1": app({200: 60}), "app2": app({200: 40})})


def counters(one: AppWindow) -> list[int]:
    """Every number that an app's window counts."""
    histograms = one.request_duration, one.upstream_duration, one.header_duration
    buckets = [count for histogram in histograms for count in histogram.counts]
    return [*one.by_code.values(), *one.attempts.values(), one.received, one.sent, *buckets]


@given(READINGS)
def test_what_is_written_is_read(one: Reading) -> None:
    assert reading.parse(render(one), one.time) == one


TEXT = """\
# TYPE loadbalancer_requests_total counter
loadbalancer_requests_total{app="app1",code="200"} 60
loadbalancer_requests_total{app="app1",code="502"} 1
loadbalancer_unrouted_requests_total{code="503"} 2
loadbalancer_attempts_total{app="app1",outcome="answered"} 60
# TYPE loadbalancer_request_duration_seconds histogram
loadbalancer_request_duration_seconds_bucket{app="app1",le="0.001"} 10
loadbalancer_request_duration_seconds_bucket{app="app1",le="0.5"} 60
loadbalancer_request_duration_seconds_bucket{app="app1",le="+Inf"} 61
loadbalancer_request_duration_seconds_sum{app="app1"} 0.4
loadbalancer_request_duration_seconds_count{app="app1"} 61
loadbalancer_received_bytes_total{app="app1"} 1e+06
loadbalancer_sent_bytes_total{app="app1"} 7
loadbalancer_configured_weight{app="app1"} 3
loadbalancer_configured_share_ratio{app="app1"} 0.6
loadbalancer_servers{app="app1",state="up"} 1
loadbalancer_servers{app="app1",state="down"} 2
loadbalancer_requests_total{app="gone",code="200"} 5
loadbalancer_connections{state="active"} 3
loadbalancer_probes_total{probe="healthz"} 8
loadbalancer_ejected_servers{app="app1",server="app1-2:5001",reason="check"} 1
loadbalancer_route_info{version="0123456789ab"} 1
loadbalancer_route_changed_timestamp_seconds 1795359000.5
loadbalancer_lost_records_total 0
another_program_total{app="other"} 1
"""


def test_a_text_as_nginx_writes_it() -> None:
    took = Histogram((0.001, 0.5), (10, 50, 1), 0.4)
    app1 = AppReading(
        requests={200: 60, 502: 1},
        attempts={"answered": 60},
        request_duration=took,
        received=1_000_000,
        sent=7,
        weight=3,
        share=0.6,
        servers_up=1,
        servers_down=2,
        ejected={"app1-2:5001": "check"},
    )
    assert reading.parse(TEXT, 7.0) == Reading(
        time=7.0,
        version="0123456789ab",
        changed=1795359000.5,
        apps={"app1": app1, "gone": AppReading(requests={200: 5})},
        unrouted={503: 2},
        connections={"active": 3},
    )


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("loadbalancer_route_info", "loadbalancer_other_info"),
        ("route_changed", "route_found"),
        ('code="502"', 'code="5xx"'),
        ('code="200"} 60', 'code="200"} -1'),
        ('code="200"} 60', 'code="200"} 0.5'),
        ('code="200"} 60', 'code="200"} NaN'),
        ('code="200"} 60', 'code="200"} +Inf'),
        ('code="200"} 60', 'code="200", ="4"} 60'),
        ('le="0.5"} 60', 'le="0.5"} 9'),
        ('"+Inf"', '"2"'),
        ("sum{", 'sum{a="'),
        ('app="app1"', 'app="../app1"'),
        ("1795359000.5", "NaN"),
        (TEXT, "<html><body>It works!</body></html>"),
        (TEXT, ""),
    ],
)
def test_an_invalid_text_is_rejected(right: str, wrong: str) -> None:
    assert right in TEXT
    with pytest.raises(ValueError, match=r"."):
        reading.parse(TEXT.replace(right, wrong), 0)


@given(st.text(), st.integers(0, len(TEXT)), st.integers(0, 40))
def test_a_malformed_text_raises_only_a_value_error(text: str, at: int, cut: int) -> None:
    try:
        reading.parse(TEXT[:at] + text + TEXT[at + cut :], 0)
    except ValueError:
        return


@given(READINGS, READINGS)
def test_no_difference_is_negative(earlier: Reading, later: Reading) -> None:
    window = since(earlier, later)
    assert window.seconds >= 0
    assert window.lost >= 0
    for one in window.apps.values():
        assert min(counters(one)) >= 0
        assert one.error_rate is None or 0 <= one.error_rate <= 1


@given(READINGS, READINGS)
def test_differences_and_sums(earlier: Reading, later: Reading) -> None:
    """Counters that only grow give their growth, and no reset."""
    grown = replace(
        later,
        time=earlier.time + 10,
        apps={name: _sum(earlier.apps.get(name), more) for name, more in later.apps.items()}
        | {name: one for name, one in earlier.apps.items() if name not in later.apps},
        unrouted=_add(earlier.unrouted, later.unrouted),
        lost=earlier.lost + later.lost,
    )
    window = since(earlier, grown)
    assert not window.reset
    assert window.lost == later.lost
    for name, one in window.apps.items():
        more = later.apps.get(name, AppReading())
        assert {code: n for code, n in one.by_code.items() if n} == {
            code: n for code, n in more.requests.items() if n
        }
        assert one.request_duration.counts == more.request_duration.counts
        assert one.upstream_duration.counts == more.upstream_duration.counts
        assert (one.received, one.sent) == (more.received, more.sent)
        assert one.requests == sum(more.requests.values())
        assert one.rate == pytest.approx(one.requests / 10)
    assert window.requests == sum(sum(one.requests.values()) for one in later.apps.values())
    shares = [one.share for one in window.apps.values() if one.share is not None]
    assert sum(shares) == pytest.approx(1 if window.requests else 0)


def _add(some: Mapping[int, int], more: Mapping[int, int]) -> dict[int, int]:
    return {key: some.get(key, 0) + more.get(key, 0) for key in {**some, **more}}


def _sum(one: AppReading | None, more: AppReading) -> AppReading:
    if one is None:
        return more
    attempts = {key: one.attempts.get(key, 0) + more.attempts.get(key, 0) for key in OUTCOMES}
    return replace(
        more,
        requests=_add(one.requests, more.requests),
        attempts=attempts,
        request_duration=_both(one.request_duration, more.request_duration),
        upstream_duration=_both(one.upstream_duration, more.upstream_duration),
        header_duration=_both(one.header_duration, more.header_duration),
        received=one.received + more.received,
        sent=one.sent + more.sent,
    )


def _both(one: Histogram, more: Histogram) -> Histogram:
    counts = tuple(a + b for a, b in zip(one.counts, more.counts, strict=True))
    return Histogram(one.bounds, counts, one.sum + more.sum)


def test_what_happened_in_a_window() -> None:
    app1 = app({200: 155, 404: 4, 500: 3, 503: 2}, received=6500)
    attempts = {"answered": 99, "connect_failed": 1, "timeout": 2, "error": 4, "aborted": 8}
    app2 = app({200: 140}, attempts=attempts)
    later = Reading(110.0, "0123456789ab", 50.0, {"app1": app1, "app2": app2}, {503: 7})
    window = since(EARLIER, later)
    first, second = window.apps["app1"], window.apps["app2"]
    assert (window.seconds, window.reset, window.requests) == (10.0, False, 204)
    assert window.unrouted == {503: 7}
    assert first.by_code == {200: 95, 404: 4, 500: 3, 503: 2}
    assert (first.requests, first.rate) == (104, 10.4)
    assert (first.errors, first.error_rate) == (5, 5 / 104)
    assert (first.received, first.sent) == (500, 200 * 104)
    assert first.share == 104 / 204
    assert (second.errors, second.error_rate, second.share) == (0, 0.0, 100 / 204)
    assert (first.failed_attempts, second.failed_attempts) == (0, 7)
    assert first.p50 == pytest.approx(0.00175)
    assert first.p99 == pytest.approx(0.001 + 0.0015 * 0.99)
    assert first.p95 == first.request_duration.quantile(0.95)


def test_a_window_without_requests_has_no_rate_of_errors_nor_shares() -> None:
    one = since(EARLIER, replace(EARLIER, time=101.0)).apps["app1"]
    assert (one.requests, one.rate, one.errors) == (0, 0.0, 0)
    assert (one.error_rate, one.share, one.p50, one.p95, one.p99) == (None,) * 5


@pytest.mark.parametrize("time", [100.0, 99.0])
def test_a_window_without_time_has_no_rate(time: float) -> None:
    window = since(EARLIER, replace(EARLIER, time=time))
    assert window.seconds == 0
    assert window.apps["app1"].rate is None


def test_a_counter_that_has_gone_back_counts_from_0() -> None:
    app1 = app({200: 5, 500: 1}, received=10_000)
    window = since(EARLIER, replace(EARLIER, apps={"app1": app1, "app2": app({200: 41})}))
    assert window.reset
    one = window.apps["app1"]
    assert one.by_code == {200: 5, 500: 1}
    assert one.request_duration == app1.request_duration
    # Series by series: what has not gone back is subtracted as ever.
    assert one.received == 4000
    assert window.apps["app2"].by_code == {200: 1}


EARLIER_WITH_ALL = replace(EARLIER, unrouted={503: 1}, lost=1)


@pytest.mark.parametrize(
    "app1",
    [
        app({}),
        app({200: 60}, sent=0),
        app({200: 60}, attempts={"answered": 1}),
        app({200: 60}, request_duration=Histogram((1.0,), (0, 90), 9.0)),
        app({200: 60}, request_duration=Histogram(counts=(0, 90, *(0,) * 14), sum=0.1)),
        app({200: 60}, upstream_duration=Histogram(counts=(90, *(0,) * 15), sum=9.0)),
    ],
)
def test_a_counter_of_an_app_that_has_gone_back_is_a_reset(app1: AppReading) -> None:
    later = replace(EARLIER_WITH_ALL, apps={**EARLIER.apps, "app1": app1})
    assert since(EARLIER_WITH_ALL, later).reset


def test_any_counter_that_has_gone_back_is_a_reset() -> None:
    earlier = EARLIER_WITH_ALL
    assert not since(earlier, earlier).reset
    assert since(earlier, replace(earlier, unrouted={})).reset
    assert since(earlier, replace(earlier, lost=0)).reset
    assert since(earlier, replace(earlier, apps={"app2": EARLIER.apps["app2"]})).reset


def test_an_app_that_joins_or_leaves_is_no_reset() -> None:
    joined = replace(EARLIER, apps={**EARLIER.apps, "app3": app({200: 3})})
    assert since(EARLIER, joined).apps["app3"].by_code == {200: 3}
    assert not since(EARLIER, joined).reset
    never_asked = replace(EARLIER, apps={**EARLIER.apps, "app3": app({200: 0})})
    assert not since(never_asked, EARLIER).reset


@given(HISTOGRAMS, RATIOS, RATIOS)
def test_quantiles_rise_with_their_part(histogram: Histogram, one: float, other: float) -> None:
    low, high = histogram.quantile(min(one, other)), histogram.quantile(max(one, other))
    assert (low is None) == (high is None) == (histogram.count == 0)
    if low is not None and high is not None:
        assert 0 <= low <= high <= BOUNDS[-1]


@given(st.lists(st.floats(0, 60), min_size=1, max_size=50), RATIOS)
def test_a_quantile_lies_in_the_bucket_of_the_real_one(values: list[float], q: float) -> None:
    counts = [0] * 16
    for value in values:
        counts[bisect_left(BOUNDS, value)] += 1
    estimate = Histogram(counts=tuple(counts)).quantile(q)
    # The first value that at least the part q of them does not exceed.
    real = next(v for n, v in enumerate(sorted(values), 1) if n >= q * len(values))
    at = bisect_left(BOUNDS, real)
    assert estimate is not None
    assert (0, *BOUNDS)[at] <= estimate <= BOUNDS[at]


@pytest.mark.parametrize(
    ("counts", "q", "value"),
    [
        ((4, 0, 0), 0.5, 0.5),
        ((4, 0, 0), 1, 1.0),
        ((0, 4, 0), 0.25, 1.5),
        ((1, 1, 0), 0.5, 1.0),
        ((1, 1, 0), 0.75, 2.0),
        ((1, 0, 1), 0.6, 3.0),
        ((0, 0, 1), 0.5, 3.0),
        ((0, 0, 0), 0.5, None),
        ((0, 2, 0), 0, 1.0),
    ],
)
def test_quantiles_by_hand(counts: tuple[int, ...], q: float, value: float | None) -> None:
    assert Histogram((1.0, 3.0), counts).quantile(q) == value


@pytest.mark.parametrize("q", [-0.1, 1.1, float("nan")])
def test_a_quantile_is_from_0_to_1(q: float) -> None:
    with pytest.raises(ValueError, match="not from 0 to 1"):
        Histogram().quantile(q)


@pytest.mark.parametrize(
    ("bounds", "counts", "total"),
    [
        ((), (1,), 0.0),
        ((1.0, 1.0), (0, 0, 0), 0.0),
        ((0.0, 1.0), (0, 0, 0), 0.0),
        ((1.0, inf), (0, 0, 0), 0.0),
        ((1.0,), (0,), 0.0),
        ((1.0,), (0, -1), 0.0),
        ((1.0,), (0, 0), -1.0),
        ((1.0,), (0, 0), float("nan")),
    ],
)
def test_an_invalid_histogram(
    bounds: tuple[float, ...], counts: tuple[int, ...], total: float
) -> None:
    with pytest.raises(ValueError, match=r"."):
        Histogram(bounds, counts, total)


def test_it_is_read_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    # A proxy of the environment does not lead to this machine's own loopback.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with admin_port() as port:
        port.show(EARLIER)
        for url in (port.url, f"{port.url}/"):
            found = metrics.read(url, timeout=60)
            assert replace(found, time=EARLIER.time) == EARLIER
            assert found.time > EARLIER.time


def refusal(url: str, timeout: float = 60) -> str:
    with pytest.raises(MetricsError) as caught:
        metrics.read(url, timeout)
    return str(caught.value)


def test_errors_name_the_address_and_what_to_do() -> None:
    with admin_port() as port:
        address = f"{port.url}/metrics"
        port.code = 503
        assert refusal(port.url) == (
            f"{address} answers 503 instead of 200. Check nginx's log: ./lb logs"
        )
        port.code, port.body, port.location = 301, b"", port.url
        assert "answers 301" in refusal(port.url)
        for body in (b"<html></html>", b"\xff", b"loadbalancer_a{\x1b[2J" + b"a" * 1000 + b"} 1"):
            port.code, port.body = 200, body
            said = refusal(port.url)
            assert said.isprintable()
            assert len(said) < 400
            assert said.startswith(f"{address} does not answer with the counters")
            assert said.endswith("Check the address: ./lb status")
    assert "does not answer" in refusal("no address")


def test_an_address_that_nobody_listens_on() -> None:
    # Bound meanwhile, so that no other program can listen there.
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        assert refusal(f"{url}/") == (
            f"{url}/metrics does not answer (Connection refused). Check the stack: ./lb status"
        )


def test_an_address_that_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        said = refusal(url, timeout=0.05)
    assert said == (f"{url}/metrics did not answer within 0.05 s. Check the stack: ./lb status")


def test_what_servers_answer_to_a_probe() -> None:
    servers = [{"name": "a:1", "answered": ["/healthz"]}, {"name": "a:2", "answered": ["/"]}]
    with admin_port() as port:
        port.probes["app1"] = json.dumps({"app": "app1", "servers": servers}).encode()
        port.probes["app2"] = b'{"servers": [{"answered": []}]}'
        port.probes["app3"] = b"no JSON"
        port.probes["app4"] = b'{"servers": [{}]}'
        assert metrics.probe(port.url, "app1", 60) == {"/", "/healthz"}
        assert metrics.probe(port.url, "app2", 60) == frozenset()
        # An nginx of an earlier version does not know the path.
        for app in ("app3", "app4", "app5"):
            with pytest.raises(MetricsError, match=f"/probe.app={app} "):
                metrics.probe(port.url, app, 60)
