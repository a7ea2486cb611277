"""The Python language host under the real CLI."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
from functools import partial
from pathlib import Path

import pytest

from tests.toolchain.pulumiproject import (
    BIN,
    PATIENCE,
    Project,
    Result,
    running,
    still_alive,
    wait_until,
)
from tests.toolchain.wheels import write_wheel

RECORD_ENVIRONMENT = """
import json, os, pulumi
from pathlib import Path
config = pulumi.Config()
Path("recorded.json").write_text(json.dumps({
    "variables": sorted(name for name in os.environ if name.startswith("PULUMI_CONFIG")),
    "keys": json.loads(os.environ.get("PULUMI_CONFIG_SECRET_KEYS", "[]")),
    "plain": config.get("plain"),
    "hidden": config.get("hidden"),
    "organization": pulumi.get_organization(),
    "project": pulumi.get_project(),
    "stack": pulumi.get_stack(),
    "dry_run": pulumi.runtime.is_dry_run(),
    "root": pulumi.runtime.get_root_directory(),
    "python": os.environ.get("VIRTUAL_ENV"),
}))
pulumi.export("hidden", config.get_secret("hidden"))
"""

SLOW_PROVIDER = """
import time
from pathlib import Path
from pulumi import dynamic

class Provider(dynamic.ResourceProvider):
    serialize_as_secret_always = False

    def create(self, props):
        print("printed by the provider")
        Path("creating").touch()
        time.sleep(props["seconds"])
        return dynamic.CreateResult("made", {"doubled": 2 * props["value"]})

class Thing(dynamic.Resource):
    def __init__(self, name, value, seconds=0):
        props = {"value": value, "seconds": seconds, "doubled": None}
        super().__init__(Provider(), name, props)
"""


@pytest.fixture
def project(tmp_path: Path, new_stack: Path) -> Project:
    return Project(tmp_path / "project", new_stack)


def diagnostics(result: Result) -> str:
    """Return the diagnostics at the end; the CLI prints them during the run as well."""
    return result.text.partition("\nDiagnostics:\n")[2]


def recorded(project: Project) -> dict[str, object]:
    found = json.loads((project.folder / "recorded.json").read_text())
    assert isinstance(found, dict)
    return found


def test_program_gets_its_stack_and_its_config(project: Project) -> None:
    project.write(RECORD_ENVIRONMENT)
    project.succeed("config", "set-all", "--plaintext", "plain=seen", "--secret", "hidden=unseen")

    assert "unseen" not in project.up()

    assert recorded(project) == {
        "variables": ["PULUMI_CONFIG", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_SECRET_KEYS"],
        "keys": ["test:hidden"],
        "plain": "seen",
        "hidden": "unseen",
        "organization": "organization",
        "project": "test",
        "stack": "dev",
        "dry_run": False,
        "root": str(project.folder),
        "python": sys.prefix,
    }
    assert project.succeed("stack", "output", "--show-secrets", "hidden").strip() == "unseen"


def test_empty_config_is_no_variable_at_all(project: Project) -> None:
    project.write(RECORD_ENVIRONMENT)
    project.succeed("preview")
    found = recorded(project)
    assert found["variables"] == ["PULUMI_CONFIG_PASSPHRASE"]
    assert found["dry_run"] is True


def test_what_the_program_prints_is_shown(project: Project) -> None:
    project.write("import sys; print('to out'); print('to err', file=sys.stderr)")
    shown = project.up()
    assert "to out" in shown
    assert "to err" in shown


def test_exception_is_shown_once_with_its_traceback(project: Project) -> None:
    project.write("def fail():\n    raise ValueError('it broke')\n\nfail()\n")
    result = project.run("preview")
    assert result.code != 0
    shown = diagnostics(result)
    assert shown.count("ValueError: it broke") == 1, result.text
    assert shown.count("Traceback (most recent call last)") == 1
    assert "in fail" in shown
    assert "exit code" not in result.text


def test_run_error_is_shown_without_a_traceback(project: Project) -> None:
    project.write("import pulumi\nraise pulumi.RunError('set the key')\n")
    result = project.run("preview")
    assert result.code != 0
    assert diagnostics(result).count("set the key") == 1, result.text
    assert "Traceback" not in result.text


def test_exit_code_after_a_shown_error_adds_no_error(project: Project) -> None:
    project.write("import pulumi, sys\npulumi.log.error('seen already')\nsys.exit(32)\n")
    result = project.run("preview")
    assert result.code != 0
    assert diagnostics(result).count("seen already") == 1, result.text
    assert "exit code" not in result.text


def test_any_other_exit_code_is_named(project: Project) -> None:
    project.write("import sys\nsys.exit(7)\n")
    result = project.run("preview")
    assert result.code != 0
    assert "exited with non-zero exit code: 7" in result.text


def test_failed_resource_leaves_no_traceback_of_the_program(project: Project) -> None:
    failing = SLOW_PROVIDER.replace("time.sleep(", "raise RuntimeError('no luck' or ")
    # The second one is still being created when the first fails, so the engine ends the program.
    program = "from things import Thing\nfor n in range(2):\n    Thing(f't{n}', 1)\n"
    project.write(program, things=failing)
    result = project.run("up", "--yes", "--skip-preview")
    assert result.code != 0
    assert "Exception calling application: no luck" in result.text
    assert "pulumi-language-python-exec" not in result.text
    assert "KeyboardInterrupt" not in result.text


def test_unknown_toolchain_is_named(tmp_path: Path, new_stack: Path) -> None:
    project = Project(tmp_path / "project", new_stack, {"toolchain": "conda"})
    project.write("")
    result = project.run("preview")
    assert result.code != 0
    assert '"conda"; it can be pip, uv or poetry' in result.text


def test_install_makes_the_environment_and_adds_to_it(tmp_path: Path, new_stack: Path) -> None:
    options = {"toolchain": "pip", "virtualenv": "mine"}
    project = Project(tmp_path / "project", new_stack, options)
    project.write("import tiny")
    requirements = project.folder / "requirements.txt"
    requirements.write_text(f"./{write_wheel(project.folder, '1.0', 'tiny').name}\n")
    assert "Finished installing dependencies" in project.succeed("install")
    python = project.folder / "mine" / "bin" / "python"
    subprocess.run([python, "-c", "import tiny"], check=True)

    # Now that the environment exists, only the installation can add a package.
    with requirements.open("a") as file:
        file.write(f"./{write_wheel(project.folder, '1.2', 'late').name}\n")
    project.succeed("install")
    about = json.loads(project.succeed("about", "--json"))
    assert {"name": "late", "version": "1.2"} in about["dependencies"]


def test_about_names_python_and_the_dependencies(project: Project) -> None:
    project.write("")
    about = json.loads(project.succeed("about", "--json"))
    assert about["runtime"]["executable"].startswith(f"{sys.prefix}/bin/python")
    assert about["runtime"]["version"] == ".".join(str(part) for part in sys.version_info[:3])
    assert "pulumi-docker" in {found["name"] for found in about["dependencies"]}


def test_dynamic_provider(project: Project) -> None:
    program = (
        "import pulumi\nfrom things import Thing\npulumi.export('d', Thing('t', 21).doubled)\n"
    )
    project.write(program, things=SLOW_PROVIDER)
    shown = project.up()
    assert "printed by the provider" in shown
    assert project.succeed("stack", "output", "d").strip() == "42"
    project.succeed("preview", "--expect-no-changes")
    project.destroy()


PACK = """
from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

def check(args, report):
    if args.resource_type == "pulumi-python:dynamic:Resource" and args.props["value"] > 2:
        report(f"{args.props['value']} is too much")

PolicyPack("limits", enforcement_level=EnforcementLevel.MANDATORY, policies=[
    ResourceValidationPolicy(name="small", description="Things are small.", validate=check)
])
"""


@pytest.fixture(scope="session")
def policy_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the policy SDK and the packages of the tests' own one."""
    folder = tmp_path_factory.mktemp("policy") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    scheme = {"base": str(folder), "platbase": str(folder)}
    packages = sysconfig.get_path("purelib", "venv", scheme)
    (Path(packages) / "more.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", packages]
    subprocess.run([*pip, "pulumi-policy==1.21.0"], check=True)
    return folder


def test_policy_pack_refuses_a_resource(
    project: Project, policy_environment: Path, tmp_path: Path
) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    runtime = {"name": "python", "options": {"virtualenv": str(policy_environment)}}
    (pack / "PulumiPolicy.yaml").write_text(json.dumps({"runtime": runtime}))
    (pack / "__main__.py").write_text(PACK)

    project.write("from things import Thing\nThing('t', 2)\n", things=SLOW_PROVIDER)
    project.succeed("preview", "--policy-pack", pack)

    project.write("from things import Thing\nThing('t', 3)\n", things=SLOW_PROVIDER)
    result = project.run("preview", "--policy-pack", pack)
    assert result.code != 0
    assert "3.0 is too much" in result.text


def started_slowly(project: Project, log: Path) -> tuple[subprocess.Popen[bytes], dict[int, str]]:
    """Start an `up` that does not end by itself; return it and all its descendants."""
    project.write("from things import Thing\nThing('t', 1, 3600)\n", things=SLOW_PROVIDER)
    up = project.start("up", "--yes", "--skip-preview", log=log)
    creating = project.folder / "creating"
    if not wait_until(creating.exists):
        up.kill()
        pytest.fail(f"nothing is created: {log.read_text()}")
    below = running(up.pid)
    for name in (
        "pulumi-language-python ",
        "pulumi-language-python-exec",
        "pulumi-resource-pulumi-python",
        "-m pulumi.dynamic",
    ):
        assert any(name in command for command in below.values()), f"{name} is not among {below}"
    return up, below


def is_in(text: str, log: Path) -> bool:
    return text in log.read_text(errors="replace")


def test_killed_cli_leaves_no_process(project: Project, tmp_path: Path) -> None:
    up, below = started_slowly(project, tmp_path / "log")
    up.kill()
    up.wait()
    assert wait_until(lambda: not still_alive(below)), still_alive(below)


def test_interrupted_cli_leaves_no_process_and_no_traceback(
    project: Project, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    up, below = started_slowly(project, log)
    # The first interrupt cancels, the second one ends the resource operation in progress. Of two
    # pending signals the kernel delivers one.
    for shown in ("^C received; cancelling", "^C received; terminating"):
        os.kill(up.pid, signal.SIGINT)
        assert wait_until(partial(is_in, shown, log)), log.read_text()
    assert up.wait(PATIENCE) != 0
    assert wait_until(lambda: not still_alive(below)), still_alive(below)
    assert "Traceback" not in log.read_text()


def test_host_without_an_engine_exits(tmp_path: Path) -> None:
    unused = "127.0.0.1:9"
    for name in ("pulumi-language-python", "pulumi-resource-pulumi-python"):
        done = subprocess.run(
            [BIN / name, unused], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 1
        assert f"no engine answers at {unused}" in done.stderr
