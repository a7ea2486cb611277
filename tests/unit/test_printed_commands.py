"""Every command that the program prints has a test that runs it where it is printed."""

import ast
import re

import pytest

from tests import printed
from tests.printed import PROJECT

HERE = "tests/stack/test_printed_commands.py"
CHECKOUTS = "tests/stack/test_checkouts.py"
REPAIRED = "tests/faults/test_repair.py"
HOST = "tests/stack/test_docker_host.py"
STATUS = "tests/stack/test_status.py"
UP = f"{HERE}::test_what_needs_a_stack_that_is_up_says_how_to_bring_it_up"
REPAIR = f"{HERE}::test_a_broken_stack_is_found_and_repaired"
ROLLOUT = f"{HERE}::test_a_missing_target_and_rollout_are_answered_with_a_command_that_works"
LOST = f"{CHECKOUTS}::test_a_stack_whose_state_was_lost_is_named_taken_over_and_removed"
CLEANED = f"{CHECKOUTS}::test_down_removes_what_a_lost_state_has_left_when_told_so"
RENAMED = f"{CHECKOUTS}::test_a_renamed_stack_project_and_folder_go_on"
PASSPHRASE = f"{CHECKOUTS}::test_a_passphrase_of_another_project_is_named_with_the_file_without_it"
RUN_BY: dict[str, dict[str, str]] = {
    "loadbalancer/__main__.py": {"./lb up": f"{CHECKOUTS}, which starts without .venv"},
    "loadbalancer/cli/verbs.py": {
        "./lb clean --orphans remove": CLEANED,
        "./lb up --stack {}": f"{HERE}::test_a_new_app_answers_after_the_commands_of_app_new",
        'eval "$(./lb env)"': f"{HERE}::test_an_invalid_configuration_in_a_shell_without_pulumi",
    },
    "loadbalancer/cli/errors.py": {
        "./lb up{}": f"{HERE}::test_a_stack_that_does_not_exist_is_created",
        "./lb repair{}{}": f"{REPAIRED}::test_a_killed_up_costs_no_request_and_repair_cleans_up",
        "pulumi stack rename --stack {} {}": RENAMED,
    },
    "loadbalancer/config/apps.py": {
        "./lb app new {}": f"{HERE}::test_a_new_app_answers_after_the_commands_of_app_new"
    },
    "loadbalancer/config/checks.py": {
        "./lb app new app1": f"{HERE}::test_the_last_folder_of_an_app_is_created"
    },
    "loadbalancer/config/fix_commands.py": dict.fromkeys(
        (
            "pulumi config rm {}{}{}",
            "pulumi config set {}{} {}{}",
            "pulumi config set {}--secret {}{}",
            "pulumi up{}",
        ),
        f"{HERE}::test_the_commands_for_an_invalid_configuration_make_it_valid; all keys in "
        "tests/unit/test_fix_commands.py",
    ),
    "loadbalancer/config/reference.py": {
        "pulumi config set {}{} {}": "tests/unit/test_config_reference.py loads every example"
    },
    "loadbalancer/config/port_checks.py": {
        "ssh -N -L {}:{}:{} {}": "no test has a second machine to log in to"
    },
    "loadbalancer/content/staging.py": {"pulumi up": "any update: every test of a stack"},
    "loadbalancer/display/figures.py": {"./lb up{}": UP},
    "loadbalancer/display/status.py": {
        "./lb up --stack {}": UP,
        "./lb repair --stack {}": REPAIR,
        "./lb status --stack {}": REPAIR,
    },
    "loadbalancer/display/watch.py": {"./lb up --stack {}": UP},
    "loadbalancer/drift/compare.py": {
        "docker network disconnect {} {}": (
            f"{STATUS}::"
            "test_a_container_of_others_under_a_name_of_the_stack_leaves_by_the_printed_command"
        )
    },
    "loadbalancer/drift/lost.py": {
        "./lb repair --stack {} --orphans remove": LOST,
        "./lb {} --stack {} --orphans remove": f"{LOST}; with down: {CLEANED}",
    },
    "loadbalancer/drift/repair.py": {
        "./lb repair --force --stack {}": "tests/unit/test_repair_locks.py, without an update"
    },
    "loadbalancer/engine/address.py": {
        "docker context ls": f"{HOST}::test_a_context_that_does_not_exist_is_named",
        "export DOCKER_TLS_VERIFY=1": (
            "tests/unit/test_engine_address.py; its effect, where a context has it: "
            f"{HOST}::test_up_with_the_certificates_of_a_context"
        ),
        "unset {}": f"{HOST}::test_one_engine_by_a_context_of_another_folder",
    },
    "loadbalancer/engine/failure.py": {
        "./lb logs{}{}": "tests/stack/test_versions.py",
        "pulumi up{}": "tests/stack/test_versions.py",
        "pulumi config set --path apps.{}.limits.memory {}{}": "tests/stack/test_config.py sets it",
    },
    "loadbalancer/hints.py": {"./lb {}{}": "listed where a module writes a hint: {} is the verb"},
    "loadbalancer/logs/stream.py": {"./lb up --stack {}": UP},
    "loadbalancer/metrics/client.py": {
        "./lb status{}": REPAIR,
        "./lb logs{}": "tests/stack/test_logs.py",
    },
    "loadbalancer/nginx/live_files.py": {"rm -r {} +": "not printed: it runs in the container"},
    "loadbalancer/resources/stack.py": {
        "./lb repair --stack {} --orphans remove": LOST,
        "./lb up --stack {}": (
            "tests/stack/test_docs.py; an engine that does not run: tests/toolchain/test_engine.py"
        ),
    },
    "loadbalancer/rollout/commands.py": {
        "./lb rollout abort --keep --stack {}": "tests/faults/test_rollout.py",
        "./lb rollout status --stack {}": "tests/stack/test_rollout.py",
    },
    "loadbalancer/rollout/controller.py": {
        "./lb rollout abort --keep --stack {}": "tests/faults/test_rollout.py",
    },
    "loadbalancer/rollout/force.py": {"./lb rollback --stack {}": "tests/stack/test_rollout.py"},
    "loadbalancer/rollout/options.py": {
        "./lb rollout start --to {}{}": ROLLOUT,
        "./lb rollback --stack {}": "tests/stack/test_rollout.py",
        "./lb up --stack {}": UP,
    },
    "loadbalancer/rollout/requests.py": {
        "./lb rollout promote --stack {}": "tests/stack/test_rollout.py"
    },
    "loadbalancer/rollout/rollback.py": {
        "./lb history --stack {}": ROLLOUT,
        "./lb up --stack {}": UP,
    },
    "loadbalancer/rollout/status.py": {
        "./lb rollout abort --force --stack {}": "tests/faults/test_rollout.py",
        "./lb rollout {} --stack {}": "tests/stack/test_rollout.py",
    },
    "loadbalancer/rollout/takeover.py": {
        "./lb rollout abort --keep --stack {}": "tests/faults/test_rollout.py"
    },
    "loadbalancer/rollout/unfinished.py": {
        "./lb rollout start --to {} --stack {}": ROLLOUT,
        "pulumi config rm {} --stack {}": "tests/unit/test_rollout_commands.py",
    },
    "loadbalancer/state/checkout.py": {
        'eval "$(./lb env)"': (
            f"{CHECKOUTS}::test_a_checkout_does_nothing_to_the_stack_whose_environment_the_shell_has"
        )
    },
    "loadbalancer/state/clean.py": {
        "./lb down --stack NAME": "tests/stack/test_lifecycle.py",
        "pulumi stack rename --stack {} {}/{}/{}": RENAMED,
    },
    "loadbalancer/state/identity.py": {
        "rm -r {}": f"{CHECKOUTS}::test_a_copy_of_a_checkout_does_not_act_on_its_stack"
    },
    "loadbalancer/state/passphrase.py": {
        'eval "$(./lb env)"': PASSPHRASE,
        "export PULUMI_CONFIG_PASSPHRASE=..": PASSPHRASE,
        "unset {}": PASSPHRASE,
    },
    "loadbalancer/state/pulumi.py": {
        'eval "$(./lb env)"': f"{HERE}::test_an_invalid_configuration_in_a_shell_without_pulumi"
    },
    "toolchain/cli.py": {
        "python3 -m toolchain": "not printed: the name of the program in its help"
    },
    "toolchain/debootstrap.py": {"docker tag NAME python:3.14-slim": "Docker's own command"},
    "toolchain/engine.py": {
        "export DOCKER_CONTEXT=default": "tests/toolchain/test_engine.py",
        "export DOCKER_HOST=ssh://USER@MACHINE": "tests/toolchain/test_engine.py",
        "unset {}": "tests/toolchain/test_cli.py; without it, an engine would be installed",
    },
    "toolchain/environment.py": {
        "./lb up": UP,
        'eval "$({} env)"': CHECKOUTS,
        'export PATH={}:"$PATH"': "tests/unit/test_toolchain_environment.py; not in a message",
        "export PULUMI_CONFIG_PASSPHRASE=..": PASSPHRASE,
        "rm -r {}": "tests/toolchain/test_environment.py::"
        "test_a_lost_passphrase_is_not_replaced_while_stacks_need_it",
        "unset {}": "tests/toolchain/test_environment.py::test_variables_are_unset_by_a_shell",
    },
}


def found() -> dict[str, set[str]]:
    commands: dict[str, set[str]] = {}
    for one in printed.find():
        commands.setdefault(one.path, set()).add(one.command)
    return commands


def test_commands_are_found_in_the_text_of_a_message() -> None:
    text = "it failed. Create it: ./lb up --stack {}. Or see why: pulumi config rm a && pulumi up"
    assert list(printed.commands(text)) == [
        "./lb up --stack {}",
        "pulumi config rm a && pulumi up",
    ]


def test_every_printed_command_has_a_test_that_runs_it() -> None:
    assert found() == {path: set(commands) for path, commands in RUN_BY.items()}


def test_examples_of_help_are_left_out_and_what_is_filled_in_is_found() -> None:
    tree = ast.parse(
        '@register(app, "up", "./lb up")\ndef up():\n    """Run `./lb up`."""\n'
        '    say(f"Remove it: ./lb {verb} --stack {name}, or unset {variable}")\n'
    )
    found_ = [command for text in printed.texts(tree) for command in printed.commands(text)]
    assert found_ == ["./lb {} --stack {}", "unset {}"]


def words(command: str) -> list[str]:
    """Name the words of a command's verb, without its options and what is filled in."""
    command = command.removeprefix('eval "$(')
    start = re.split(r"[{=]| -", command, maxsplit=1)[0]
    programs = {"./lb", "pulumi", "docker", "python3", "export"}
    return [word for word in re.findall(r"[\w./-]+", start) if word not in programs]


def test_the_words_of_a_verb() -> None:
    commands = ("./lb rollout abort --keep --stack {}", "./lb up{}", "export A_B=1", "unset {}")
    assert list(map(words, commands)) == [
        ["rollout", "abort"],
        ["up"],
        ["A_B"],
        ["unset"],
    ]


def has(word: str, text: str) -> bool:
    """Tell whether a test has a word of a command, also as one of a list of arguments."""
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


@pytest.mark.parametrize(
    ("command", "reason"),
    sorted({(command, reason) for each in RUN_BY.values() for command, reason in each.items()}),
)
def test_the_tests_exist_and_have_the_verb(command: str, reason: str) -> None:
    every = re.findall(r"(tests/\S+\.py)(::(\w+))?", reason)
    texts = [(PROJECT / path).read_text() for path, _, _ in every]
    for (_, _, test), text in zip(every, texts, strict=True):
        assert not test or f"def {test}(" in text, reason
    for word in words(command) if texts else ():
        assert any(has(word, text) for text in texts), (word, reason)
