"""The equivalents of the official images, looked at from the outside, where they have been made."""

import json
import subprocess
from pathlib import Path

import pytest

from toolchain import baseimages, certificates
from toolchain.dockerapi import Engine, EngineError
from toolchain.recipes import NGINX, PYTHON, RECIPES, Recipe

NJS = """load_module modules/ngx_http_js_module.so;
events {}
http { js_shared_dict_zone zone=counts:1M type=number; }
"""


def name_of(recipe: Recipe) -> str:
    """Return the equivalent's name, or skip: official images need no test of ours."""
    name = baseimages.own_name(recipe)
    try:
        if Engine().image(name) is None:
            pytest.skip(f"{name} has not been made on this machine")
    except EngineError as error:
        pytest.skip(str(error))
    return name


def inside(recipe: Recipe, script: str) -> str:
    """Return what a shell script prints to its output in a new container of the image."""
    client = pytest.importorskip("docker").from_env()
    try:
        output: bytes = client.containers.run(name_of(recipe), ["sh", "-euc", script], remove=True)
    finally:
        client.close()
    return output.decode()


@pytest.mark.parametrize("recipe", RECIPES)
def test_labels_say_what_it_is(recipe: Recipe) -> None:
    name = name_of(recipe)
    image = Engine().image(name) or {}
    labels = image["Config"]["Labels"]
    assert labels["loadbalancer.base"] == recipe.official
    assert labels["loadbalancer.base.recipe"] == name.rpartition("-")[2]
    assert "Debian" in labels["org.opencontainers.image.description"]
    assert labels["org.opencontainers.image.version"].startswith(recipe.version)


@pytest.mark.parametrize("recipe", RECIPES)
def test_it_trusts_whom_the_host_trusts(recipe: Recipe) -> None:
    bundle = certificates.parse(inside(recipe, f"cat {certificates.HOST_BUNDLE}"))
    host = certificates.of_host()
    assert len(bundle) >= len(host)
    assert not certificates.missing(host, bundle)


@pytest.mark.parametrize("recipe", RECIPES)
def test_nothing_of_the_host_or_of_apt_is_left_in_it(recipe: Recipe) -> None:
    script = "find /var/lib/apt/lists /var/cache/apt /tmp /var/log -type f; ls /usr/share/man"
    assert inside(recipe, script) == ""


def test_python_is_as_in_the_official_image() -> None:
    script = """
        python --version; python3 --version; python3.14 --version
        id -u; echo "$LANG"; echo ":$PATH:"
        readlink -f "$(command -v python)"
        test -d /usr/local/lib/python3.14/site-packages
    """
    said = inside(PYTHON, script).splitlines()
    assert {line.rpartition(".")[0] for line in said[:3]} == {"Python 3.14"}
    assert said[3:5] == ["0", "C.UTF-8"]
    assert ":/usr/local/bin:" in said[5]


def test_pip_installs_into_the_system(tmp_path: Path) -> None:
    wheel = """
import zipfile
info = "tiny-1.0.dist-info/"
with zipfile.ZipFile("/tmp/tiny-1.0-py3-none-any.whl", "w") as file:
    file.writestr("tiny.py", "def main(): print('tiny runs')")
    file.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
    file.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n"
        "Tag: py3-none-any\\n")
    file.writestr(info + "entry_points.txt", "[console_scripts]\\ntiny = tiny:main\\n")
    file.writestr(info + "RECORD", "")
"""
    script = f"""
        cat > /tmp/wheel.py <<'END'
{wheel}
END
        python /tmp/wheel.py
        pip install --quiet --no-index /tmp/tiny-1.0-py3-none-any.whl
        command -v tiny
        tiny
        python -m venv --without-pip /tmp/venv
    """
    lines = inside(PYTHON, script).splitlines()
    assert "/usr/local/bin/tiny" in lines
    assert "tiny runs" in lines


def test_nginx_is_as_in_the_official_image() -> None:
    config = (Engine().image(name_of(NGINX)) or {})["Config"]
    assert config["Cmd"] == ["nginx", "-g", "daemon off;"]
    assert config["StopSignal"] == "SIGQUIT"
    assert config["ExposedPorts"] == {"80/tcp": {}}
    script = """
        nginx -V 2>&1 | head -1
        id -u nginx; id -g nginx
        readlink /var/log/nginx/access.log /var/log/nginx/error.log
        command -v curl
        ls -d /etc/nginx/modules/ngx_http_js_module.so
        ! ls -d /etc/nginx/sites-enabled
    """
    said = inside(NGINX, script).splitlines()
    assert said[0].startswith("nginx version: nginx/1.30.")
    assert said[1:5] == ["101", "101", "/dev/stdout", "/dev/stderr"]


def test_njs_loads() -> None:
    conf = f"cat > /tmp/nginx.conf <<'END'\n{NJS}\nEND\n"
    said = inside(NGINX, f"{conf}nginx -t -c /tmp/nginx.conf 2>&1")
    assert "test is successful" in said


def test_nginx_serves_and_stops_when_asked() -> None:
    script = """
        nginx -g 'daemon off;' & nginx=$!
        for attempt in $(seq 600); do
            curl -fsS -o /dev/null -w '%{http_code}\\n' localhost && break || sleep 0.1
        done
        kill -QUIT $nginx
        wait $nginx && echo stopped
    """
    said = inside(NGINX, script)
    assert "200" in said
    assert said.rstrip().endswith("stopped")


def test_the_engines_client_agrees_with_ours() -> None:
    """What the small client reads is what the engine's own client shows."""
    name = name_of(NGINX)
    done = subprocess.run(
        ["docker", "image", "inspect", name], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("there is no docker command here")
    assert json.loads(done.stdout)[0]["Id"] == (Engine().image(name) or {})["Id"]
