"""The counters and the rules, as a real Prometheus reads them."""

import re
from functools import partial
from pathlib import Path

import pytest
import requests

from tests.monitoring import RULES, names_in_rules, promtool, rules
from tests.stack.counters import settled
from tests.stack.deployment import Deployment
from tests.stack.failing import wait_until_shared
from tests.stack.prometheus import PATIENCE, Prometheus, prometheus


@pytest.fixture
def exposition(stack: Deployment) -> str:
    answer = requests.get(f"{stack.output('adminUrl')}/metrics", timeout=60)
    answer.raise_for_status()
    return answer.text


def test_promtool_finds_nothing_wrong_with_the_metrics(exposition: str) -> None:
    done = promtool("check", "metrics", text=exposition)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_metrics_that_the_rules_ask_for_are_there(exposition: str) -> None:
    families = dict(re.findall(r"^# TYPE (\S+) (\S+)$", exposition, re.MULTILINE))
    told = {
        f"{name}{part}"
        for name, kind in families.items()
        for part in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",))
    }
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert names_in_rules() - recorded - told == set()


@pytest.mark.faults
def test_a_real_prometheus_sees_the_shares_and_raises_no_alert(
    stack: Deployment, tmp_path: Path
) -> None:
    settled(stack)  # so that no request of before is seen
    with prometheus(target_of(stack), tmp_path) as server:
        loaded = server.get("rules")["groups"]
        assert {Path(group["file"]).read_bytes() for group in loaded} == {RULES.read_bytes()}
        names = [rule["name"] for rule in server.rules()]
        assert names == [rule.get("alert") or rule["record"] for rule in rules()]

        def unscraped() -> object:
            apps = server.by_app("app:loadbalancer_requests:seen10m")
            return None if apps == {"app1": 0, "app2": 0} else apps

        PATIENCE.until("Prometheus to have scraped and recorded once", unscraped)
        stack.answers(100)

        def unshared() -> object:
            seen = server.by_app("app:loadbalancer_requests:seen10m")
            shares = server.by_app("app:loadbalancer_share:ratio10m")
            expected = {"app1": 60, "app2": 40}, {"app1": 0.6, "app2": 0.4}
            return None if (seen, shares) == expected else (seen, shares)

        PATIENCE.until("60 and 40 of 100 requests, as shares 0.6 and 0.4", unshared)
        PATIENCE.until("every record to have both apps", partial(unrecorded, server))
        # One may be pending for a moment, when nginx or an app was late to answer.
        PATIENCE.until("no rule to fail, nor to raise an alert", partial(raised, server))


@pytest.mark.faults
def test_a_real_prometheus_sees_an_app_that_is_stopped(stack: Deployment, tmp_path: Path) -> None:
    (name,) = stack.output("containers")["apps"]["app2"]
    app2 = stack.containers()[name]
    with prometheus(target_of(stack), tmp_path) as server:
        PATIENCE.until("Prometheus to see nothing wrong", partial(unlike, server, set()))
        app2.stop(timeout=5)
        try:
            alerts = {("LoadBalancerAppDown", "app2", "pending")}
            PATIENCE.until("Prometheus to see it", partial(unlike, server, alerts))
        finally:
            app2.start()
        PATIENCE.until("Prometheus to see it is back", partial(unlike, server, set()))
    wait_until_shared(stack)


def target_of(stack: Deployment) -> str:
    return str(stack.output("adminUrl")).removeprefix("http://")


def unrecorded(server: Prometheus) -> object:
    """Return the records that lack an app, and the apps that they have."""
    recorded = [rule["record"] for rule in rules() if "record" in rule]
    found = {name: server.by_app(name).keys() for name in recorded}
    return {name: apps for name, apps in found.items() if apps != {"app1", "app2"}} or None


def raised(server: Prometheus) -> object:
    """Return health and alerts of each rule that fails or raises any."""
    found = {rule["name"]: (rule["health"], rule.get("alerts", [])) for rule in server.rules()}
    return {name: one for name, one in found.items() if one != ("ok", [])} or None


def unlike(server: Prometheus, expected: set[tuple[str, str, str]]) -> object:
    """Return alert, app and state of what there is, if that is not what is expected."""
    if not server.by_app("loadbalancer_configured_weight"):
        return "no scrape yet"
    alerts = server.get("alerts")["alerts"]
    labels = [(one["labels"], one["state"]) for one in alerts]
    found = {(one["alertname"], one.get("app", ""), state) for one, state in labels}
    return None if found == expected else found
