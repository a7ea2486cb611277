"""The files of monitoring/, as Prometheus' own program reads them."""

import pytest
import yaml

from tests.monitoring import CONFIG, names_in_rules, promtool, rules

METRICS = {
    "loadbalancer_configured_share_ratio",
    "loadbalancer_configured_weight",
    "loadbalancer_connections",
    "loadbalancer_connections_accepted_total",
    "loadbalancer_connections_handled_total",
    "loadbalancer_build_info",
    "loadbalancer_lost_records_total",
    "loadbalancer_probes_total",
    "loadbalancer_received_bytes_total",
    "loadbalancer_requests_total",
    "loadbalancer_route_changed_timestamp_seconds",
    "loadbalancer_route_info",
    "loadbalancer_sent_bytes_total",
    "loadbalancer_servers",
    "loadbalancer_attempts_total",
    "loadbalancer_unrouted_requests_total",
    *(
        f"loadbalancer_{what}_duration_seconds_{part}"
        for what in ("request", "upstream")
        for part in ("bucket", "count", "sum")
    ),
}
"""What the admin port tells."""


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "--lint=all", "--lint-fatal", "prometheus.yml"),
        ("check", "rules", "--lint=all", "--lint-fatal", "rules.yml"),
        ("test", "rules", "rules_test.yml"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_promtool_accepts(arguments: tuple[str, ...]) -> None:
    done = promtool(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_ask_for_what_the_admin_port_tells_or_other_rules_record() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert names_in_rules() - recorded - METRICS == set()


def test_every_alert_has_a_severity_and_says_what_to_do() -> None:
    alerts = [rule for rule in rules() if "alert" in rule]
    assert alerts
    for alert in alerts:
        assert alert["labels"]["severity"] in ("critical", "warning"), alert["alert"]
        assert "`" in alert["annotations"]["description"], alert["alert"]  # a command
        assert alert["annotations"].keys() == {"summary", "description"}, alert["alert"]


def test_the_example_scrapes_the_default_admin_port() -> None:
    jobs = yaml.safe_load(CONFIG.read_text())["scrape_configs"]
    assert [job["static_configs"] for job in jobs] == [[{"targets": ["127.0.0.1:9113"]}]]
