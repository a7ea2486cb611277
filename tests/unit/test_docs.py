"""Pages of the documentation: links, verbs, and tables that agree with what they describe."""

import re
from pathlib import Path

import pytest
import typer.main

from loadbalancer.cli import app
from tests import docs
from tests.docs import PAGES, PROJECT, README, Command
from tests.monitoring import rules
from tests.stack.test_docs import AFTER, ELSEWHERE

METRICS = (PROJECT / "docs" / "metrics.md").read_text()
LONGEST_README = 200
every_page = pytest.mark.parametrize("page", PAGES, ids=docs.name)


def test_commands_of_a_page() -> None:
    text = (
        "```sh\none  # comment\ntwo \\\n    --option '#'\n# no command\n```\n"
        "```text\nno command\n```\n```console\n$ three\n3\n```\n"
    )
    found = [Command("one"), Command("two --option '#'"), Command("three", "3")]
    assert list(docs.commands(text)) == found


def test_the_readme_is_for_a_first_reading() -> None:
    assert len(README.read_text().splitlines()) <= LONGEST_README


@every_page
def test_links_lead_to_files(page: Path) -> None:
    assert [
        link for link in docs.links(page.read_text()) if not (page.parent / link).exists()
    ] == []


def test_the_readme_links_every_page() -> None:
    linked = set(docs.links(README.read_text()))
    assert linked == {docs.name(page) for page in PAGES[1:]}


@every_page
def test_verbs_and_options_exist(page: Path) -> None:
    text = page.read_text()
    shown = [one.text for one in docs.commands(text) if one.text.startswith("./lb")]
    for command in (*shown, *docs.inline_commands(text)):
        check(command)


def test_alerts_name_verbs_that_exist() -> None:
    texts = [rule["annotations"]["description"] for rule in rules() if "alert" in rule]
    found = [one for text in texts for one in docs.inline_commands(text)]
    assert found
    for command in found:
        check(command)


def check(command: str) -> None:
    """Find the verb and the options of a command of `./lb` in the command line."""
    found = typer.main.get_command(app)
    known = {"--help", "--version", "--install-completion", "--show-completion"}
    for word in command.removeprefix("./lb").split():
        if word.startswith("--"):
            assert word in known, f"{command}: {word} is not an option"
        elif hasattr(found, "get_command") and word != "VERB":
            found = found.get_command(None, word)
            assert found is not None, f"{command}: {word} is not a verb"
            known |= {name for one in found.params for name in one.opts}


def test_commands_that_are_not_run_are_in_a_page_and_have_another_test() -> None:
    written = {one.text for page in PAGES for one in docs.commands(page.read_text())}
    assert ELSEWHERE.keys() - written == set()
    assert AFTER.keys() - written == set()
    for reason in ELSEWHERE.values():
        for path in re.findall(r"tests/\S+\.py", reason):
            assert (PROJECT / path).exists(), path


def test_every_metric_is_described_as_nginx_describes_it() -> None:
    source = (PROJECT / "nginx" / "njs" / "exposition.js").read_text()
    pattern = re.compile(r"(?:family|histogram)\('(\w+)',\s*(?:'(counter|gauge)',\s*)?'([^']+)'")
    exposed = {name: (kind or "histogram", text) for name, kind, text in pattern.findall(source)}
    table = docs.rows(METRICS, "| name | type | labels | meaning |")
    assert {name: (kind, text) for name, kind, _, text in table} == exposed


def test_every_path_of_the_admin_port_is_described() -> None:
    config = (PROJECT / "nginx" / "nginx.conf").read_text()
    _, _, server = config.partition("listen 9113;")
    server = server.partition("listen ")[0].partition("location = /stub_status")[0]
    paths = re.findall(r"location (?:= )?(\S+) \{", server)
    assert sorted(path for path, _ in docs.rows(METRICS, "| path | response |")) == sorted(paths)


def test_every_outcome_of_an_attempt_is_described() -> None:
    source = (PROJECT / "nginx" / "njs" / "series.js").read_text()
    (listed,) = re.findall(r"OUTCOMES = \[([^\]]+)\]", source)
    table = docs.rows(METRICS, "| outcome | meaning |")
    assert [outcome for outcome, _ in table] == re.findall(r"\w+", listed)


def test_every_alert_and_every_recorded_rule_is_described() -> None:
    alerts = {rule["alert"]: rule["labels"]["severity"] for rule in rules() if "alert" in rule}
    table = docs.rows(METRICS, "| alert | severity | condition |")
    assert {alert: severity for alert, severity, _ in table} == alerts
    recorded = [rule["record"] for rule in rules() if "record" in rule]
    assert [name for name, _ in docs.rows(METRICS, "| name | meaning |")] == recorded


def test_every_output_is_described() -> None:
    program = (PROJECT / "__main__.py").read_text()
    exported = re.findall(r'pulumi\.export\("(\w+)"', program)
    text = (PROJECT / "docs" / "configuration.md").read_text()
    assert [output for output, _ in docs.rows(text, "| output | content |")] == exported
