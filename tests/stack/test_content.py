"""The content of an app on a real stack: what is in its image, and what changes nothing."""

import shutil
import subprocess

import pytest
import requests

from loadbalancer.content import staging
from loadbalancer.state.pulumi import PulumiError
from tests.stack.deployment import Deployment
from tests.stack.editing import app_file, change

CODE = """

from shared.deep import name
from util import greeting


@app.get("/shared")
def shared() -> str:
    return f"{greeting} {name}"


@app.get("/.well-known/<path:name>")
def well_known(name: str) -> object:
    return app.send_static_file(f".well-known/{name}")
"""


@pytest.mark.faults
def test_dot_files_and_links_are_in_the_image_and_editors_files_change_nothing(
    changing_stack: Deployment,
) -> None:
    stack = changing_stack
    apps, lab = stack.folder / "apps", stack.folder / "apps/lab"
    shutil.copytree(apps / "app1", lab)
    change(stack, "lab", CODE)
    (lab / "static/.well-known").mkdir(parents=True)
    (lab / "static/.well-known/security.txt").write_text("Contact: me")
    (apps / "_shared/package").mkdir(parents=True)
    (apps / "_shared/util.py").write_text("greeting = 'hello'\n")
    (apps / "_shared/package/deep.py").write_text("name = 'world'\n")
    (lab / "util.py").symlink_to("../_shared/util.py")
    (lab / "shared").symlink_to("../_shared/package")
    (apps / ".gitignore").write_text("*.log\n")
    stack.set_all({"weights.app1": 0, "weights.app2": 0, "weights.lab": 1})
    stack.up()
    for path, body in (("/.well-known/security.txt", "Contact: me"), ("/shared", "hello world")):
        answer = requests.get(stack.url + path, timeout=60)
        assert (answer.status_code, answer.text) == (200, body)
    assert [path.name for path in (stack.folder / staging.FOLDER).iterdir()] == ["lock"]

    for name in (".app.py.swp", "app.py~", "4913", ".DS_Store", "today.log", "x.pyc"):
        (lab / name).write_text("of an editor")
    (lab / ".#app.py").symlink_to("user@host.1234")
    (stack.folder / "nginx/.nginx.conf.swp").touch()
    stack.expect_no_changes()

    (lab / "gone.py").symlink_to("../_shared/gone.py")
    app_file(stack, "app2").chmod(0o755)
    with pytest.raises(PulumiError) as caught:
        stack.preview()
    text = str(caught.value)
    refused = "apps/lab/gone.py: ../_shared/gone.py does not exist, and this link leads there. "
    assert f"{refused}Remove the link: rm apps/lab/gone.py" in text
    subprocess.run(["rm", "apps/lab/gone.py"], cwd=stack.folder, check=True)
    # Now the changed mode is all that there is.
    printed = stack.preview()
    assert "RemoteImage app2" in printed
    assert "3 to replace" in printed  # image, its lifetime, container
