"""The equivalents of the official images, on machines where they have been made."""

from collections.abc import Iterator
from typing import Any

import docker
import pytest
from docker import DockerClient
from docker.errors import ImageNotFound

from toolchain import baseimages, certificates
from toolchain.recipes import NGINX, PYTHON, RECIPES, Recipe

NJS = """load_module modules/ngx_http_js_module.so;
events {}
http { js_shared_dict_zone zone=counts:1M type=number; }
"""


@pytest.fixture(scope="module")
def client() -> Iterator[DockerClient]:
    made = docker.from_env()
    yield made
    made.close()


def config_of(client: DockerClient, recipe: Recipe) -> dict[str, Any]:
    """Return the config of the equivalent; skip where the official image is used instead."""
    try:
        image = client.images.get(baseimages.own_name(recipe))
    except ImageNotFound:
        pytest.skip(f"{baseimages.own_name(recipe)} has not been made on this machine")
    config: dict[str, Any] = image.attrs["Config"]
    return config


def inside(client: DockerClient, recipe: Recipe, script: str) -> str:
    """Return what a shell script prints to its output in a new container of the image."""
    config_of(client, recipe)
    command = ["sh", "-euc", script]
    name = baseimages.own_name(recipe)
    output: bytes = client.containers.run(name, command, network_mode="none", remove=True)
    return output.decode()


@pytest.mark.parametrize("recipe", RECIPES)
def test_labels_tell_it_from_the_official_image(client: DockerClient, recipe: Recipe) -> None:
    labels = config_of(client, recipe)["Labels"]
    name = baseimages.own_name(recipe)
    assert labels["loadbalancer.base"] == recipe.official
    assert labels["loadbalancer.base.recipe"] == name.rpartition("-")[2]
    assert "Debian" in labels["org.opencontainers.image.description"]
    assert labels["org.opencontainers.image.version"].startswith(recipe.version)


@pytest.mark.parametrize("recipe", RECIPES)
def test_it_trusts_whom_the_host_trusts(client: DockerClient, recipe: Recipe) -> None:
    bundle = certificates.parse(inside(client, recipe, f"cat {certificates.HOST_BUNDLE}"))
    host = certificates.of_host()
    assert len(bundle) >= len(host)
    assert not certificates.missing(host, bundle)


@pytest.mark.parametrize("recipe", RECIPES)
def test_nothing_of_the_host_or_of_apt_is_left_in_it(client: DockerClient, recipe: Recipe) -> None:
    script = "find /var/lib/apt/lists /var/cache/apt /tmp /var/log -type f; ls /usr/share/man"
    assert inside(client, recipe, script) == ""


def test_python_is_as_in_the_official_image(client: DockerClient) -> None:
    script = """
        python --version; python3 --version; python3.14 --version
        id -u; echo "$LANG"; echo ":$PATH:"
        readlink -f "$(command -v python)"
        test -d /usr/local/lib/python3.14/site-packages
    """
    printed = inside(client, PYTHON, script).splitlines()
    assert {line.rpartition(".")[0] for line in printed[:3]} == {"Python 3.14"}
    assert printed[3:5] == ["0", "C.UTF-8"]
    assert ":/usr/local/bin:" in printed[5]


def test_pip_installs_into_the_system(client: DockerClient) -> None:
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
    lines = inside(client, PYTHON, script).splitlines()
    assert "/usr/local/bin/tiny" in lines
    assert "tiny runs" in lines


def test_nginx_is_as_in_the_official_image(client: DockerClient) -> None:
    config = config_of(client, NGINX)
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
    printed = inside(client, NGINX, script).splitlines()
    assert printed[0].startswith("nginx version: nginx/1.30.")
    assert printed[1:5] == ["101", "101", "/dev/stdout", "/dev/stderr"]


def test_njs_loads(client: DockerClient) -> None:
    conf = f"cat > /tmp/nginx.conf <<'END'\n{NJS}\nEND\n"
    printed = inside(client, NGINX, f"{conf}nginx -t -c /tmp/nginx.conf 2>&1")
    assert "test is successful" in printed


def test_nginx_serves_and_stops_when_asked(client: DockerClient) -> None:
    script = """
        nginx -g 'daemon off;' & nginx=$!
        for attempt in $(seq 600); do
            curl -fsS -o /dev/null -w '%{http_code}\\n' localhost && break || sleep 0.1
        done
        kill -QUIT $nginx
        wait $nginx && echo stopped
    """
    printed = inside(client, NGINX, script)
    assert "200" in printed
    assert printed.rstrip().endswith("stopped")
