"""The shared form as an image: what is in it, who runs, and that a new app needs nothing else."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest

from loadbalancer.config import apps
from loadbalancer.content import files, staging
from loadbalancer.engine.dockerignore import DockerIgnore
from tests.apps import containers
from tests.apps.conftest import Build, Run
from tests.apps.containers import PATIENCE, App, read_from, wait_for

TMP = "/tmp"  # noqa: S108  the container's own


def test_the_container_is_confined(app: App) -> None:
    identity = "id -u; id -g; grep -h -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/1/status | sort"
    assert app.run("sh", "-c", identity)[1].split() == [
        *("10001", "10001"),
        *("CapBnd:", "0000000000000000"),
        *("CapEff:", "0000000000000000"),
        *("NoNewPrivs:", "1"),
    ]
    assert app.run("touch", "/srv/app/x")[0] != 0
    assert app.run("touch", f"{TMP}/x")[0] == 0
    assert app.get("/").status_code == 200
    # A container that was just run in: what it wrote is not in its own layer.
    changed = {change["Path"] for change in app.container.diff() or []}
    assert changed <= {TMP}


def test_the_image_names_its_user_by_number(client: docker.DockerClient, image: str) -> None:
    config = client.images.get(image).attrs["Config"]
    assert config["User"] == "10001:10001"
    assert config["Cmd"] == ["python", "-m", "_server"]
    assert not config["Entrypoint"]


def test_memory_is_enough_under_load(slow: App) -> None:
    body = b"x" * 1_000_000
    for _ in range(50):
        assert slow.session.post(slow.url("/length"), data=body, timeout=PATIENCE).text == "1000000"
    stats: Any = slow.container.stats(stream=False)
    assert stats["memory_stats"]["usage"] < 200 * 1024 * 1024
    slow.container.reload()
    assert not slow.container.attrs["State"]["OOMKilled"]


def test_only_the_shared_files_and_the_one_app_are_in_the_image(app: App) -> None:
    names = {name for name, member in read_from(app.container, "/srv").items() if member.isfile()}
    assert {name for name in names if "/app/" in name} == {
        "srv/app/app.py",
        "srv/app/requirements.txt",
    }
    assert all(name.split("/")[1] in {"app", "_server", "requirements"} for name in names)
    assert not any(name.endswith(".pyc") for name in names)


def test_no_build_leftovers_are_in_the_image(start: Run, image: str) -> None:
    app = start(image, user="0:0", healthy=False)
    find = "find /root /tmp /var/tmp -path */.cache/* -o -name *.whl -o -name pip-*"
    assert app.run(*find.split()) == (0, "")


def test_apps_with_equal_requirements_share_all_layers_but_the_last(
    client: docker.DockerClient, build: Build, image: str, apps_folder: Path
) -> None:
    # What app1 was built from, and not what another worker may be building meanwhile.
    others = [
        build("app2", cache_from=[image]),
        build("app3", apps_folder, cache_from=[image]),
    ]
    layers = [client.images.get(name).attrs["RootFS"]["Layers"] for name in (image, *others)]
    assert layers[0][:-1] == layers[1][:-1] == layers[2][:-1]
    assert len({each[-1] for each in layers}) == 3


def test_one_file_and_its_requirements_are_an_app(slow: App, apps_folder: Path) -> None:
    assert {path.name for path in (apps_folder / "app3").iterdir()} == {
        "app.py",
        "requirements.txt",
    }
    assert slow.get("/").text == "third"


def test_a_checkout_with_a_strict_umask_serves(
    build: Build, start: Run, apps_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "apps"
    shutil.copytree(apps_folder, folder)
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    assert start(build("app3", folder)).get("/").text == "third"


def test_what_an_editor_leaves_behind_is_not_in_the_image(
    build: Build, start: Run, apps_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "apps"
    shutil.copytree(apps_folder, folder)
    for name in (
        ".env",
        ".git/config",
        "__pycache__/app.pyc",
        "part/__pycache__/x.pyc",
        "keep.txt",
    ):
        path = folder / "app3" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("left behind")
    files = read_from(start(build("app3", folder)).container, "/srv/app")
    assert {name for name, member in files.items() if member.isfile()} == {
        "app/app.py",
        "app/keep.txt",
        "app/requirements.txt",
    }


def test_requirements_without_hashes_are_refused(
    build: Build, apps_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "apps"
    shutil.copytree(apps_folder, folder)
    (folder / "app3" / "requirements.txt").write_text("flask==3.1.3\n")
    with pytest.raises(docker.errors.BuildError, match="--require-hashes"):
        build("app3", folder)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import nothing_of_this_name", "No module named 'nothing_of_this_name'"),
        ("application = 1", "app.py has no `app`"),
        ("app = 1", "app.py has no `app`"),
        ("def", "SyntaxError"),
    ],
    ids=["import", "no app", "not callable", "syntax"],
)
def test_an_app_that_cannot_start_says_why_and_exits(  # noqa: PLR0917
    build: Build, start: Run, apps_folder: Path, tmp_path: Path, code: str, message: str
) -> None:
    folder = tmp_path / "apps"
    shutil.copytree(apps_folder, folder)
    (folder / "app3" / "app.py").write_text(code)
    app = start(build("app3", folder), healthy=False)
    assert app.wait_for_exit() == 1
    wait_for(lambda: message in app.text_log(), "message", app.text_log)


def test_a_bad_setting_is_named_and_ends_the_start(start: Run, image: str) -> None:
    app = start(image, healthy=False, environment={"PORT": "http", "THREADS": "0"})
    assert app.wait_for_exit() == 1
    wait_for(lambda: "THREADS" in app.text_log(), "message", app.text_log)
    log = app.text_log()
    assert "PORT: 'http' is not a whole number from 1 to 65535." in log
    assert "THREADS: '0'" in log
    assert "Traceback" not in log


def test_dockers_own_healthcheck_goes_green(start: Run, image: str) -> None:
    second = 1_000_000_000
    app = start(
        image,
        healthy=False,
        healthcheck={"test": ["CMD", *containers.PROBE], "interval": second, "timeout": 5 * second},
    )

    def health() -> str:
        app.container.reload()
        return json.dumps(app.container.attrs["State"]["Health"])

    wait_for(lambda: '"Status": "healthy"' in health(), "healthy state", health)


@pytest.fixture
def own_image(client: docker.DockerClient, python_image: str, tmp_path: Path) -> Iterator[str]:
    """An app folder with a Dockerfile of its own, built as that says."""
    folder = tmp_path / "app4"
    folder.mkdir()
    (folder / "page.txt").write_text("my own way")
    (folder / "Dockerfile").write_text(
        f"FROM {python_image}\n"
        "COPY page.txt /www/index.html\n"
        'CMD ["sh", "-c", "exec python -m http.server --directory /www $PORT"]\n'
    )
    name = containers.build(client, folder, {})
    try:
        yield name
    finally:
        containers.remove_image(client, name)


def test_an_app_with_its_own_dockerfile_needs_nothing_of_the_shared_form(
    own_image: str, start: Run
) -> None:
    app = start(own_image, healthy=False)
    wait_for(lambda: app.run("ls", "/www")[0] == 0, "a container")
    assert app.run("ls", "/srv/_server")[0] != 0

    def page() -> bool:
        try:
            return app.get("/").text == "my own way"
        except OSError:
            return False

    wait_for(page, "a page", app.text_log)


def test_an_app_with_its_own_dockerfile_gets_its_content_and_nothing_else(
    client: docker.DockerClient, tmp_path: Path
) -> None:
    own = tmp_path / "apps/own"
    own.mkdir(parents=True)
    (tmp_path / "apps/_shared").mkdir()
    (tmp_path / "apps/_shared/util.py").write_text("shared")
    (own / "Dockerfile").write_text('FROM scratch\nCOPY . /srv\nCMD ["/srv/run"]\n')
    (own / ".dockerignore").write_text("Dockerfile\nnotes\n*.md\n!README.md\n")
    for name in (".well-known/security.txt", "notes/x", "a.md", "README.md", "with space"):
        (own / name).parent.mkdir(exist_ok=True)
        (own / name).write_text("x")
    (own / "run").write_text("x")
    (own / "run").chmod(0o700)
    (own / "util.py").symlink_to("../_shared/util.py")
    content = files.read(apps.find(tmp_path / "apps")["own"].source, DockerIgnore(own))
    staging.stage(tmp_path, "staged", content)
    image = containers.build(client, tmp_path / staging.FOLDER / "staged", {})
    container = client.containers.create(image)
    try:
        found = read_from(container, "/srv")
    finally:
        container.remove()
        containers.remove_image(client, image)
    assert {name: oct(one.mode & 0o7777) for name, one in found.items() if not one.isdir()} == {
        "srv/.well-known/security.txt": "0o644",
        "srv/README.md": "0o644",
        "srv/run": "0o755",
        "srv/util.py": "0o644",
        "srv/with space": "0o644",
    }
    assert all(one.isfile() or one.isdir() for one in found.values())
