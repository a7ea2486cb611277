"""Apps that are killed, and the wait until all is as before."""

import requests
from docker.models.containers import Container

from loadbalancer.engine.wait import Wait
from tests.stack.deployment import Deployment


def kill_inside(container: Container) -> None:
    """End every process in a container at once, as the kernel would.

    Nothing inside a container can kill its first process, and one that Docker is asked to kill is
    not restarted. So another container does it, which sees the processes of the host.
    """
    container.reload()
    client, image = container.client, container.image
    assert client is not None
    assert image is not None
    command = ["bash", "-c", f"kill -9 {container.attrs['State']['Pid']}"]
    client.containers.run(image, command, pid_mode="host", user="0:0", remove=True)


def wait_until_back(container: Container, started: str) -> None:
    """Wait until Docker has started a container again and it is healthy."""

    def look() -> object:
        container.reload()
        state = container.attrs["State"]
        back = state["StartedAt"] != started and state["Health"]["Status"] == "healthy"
        return None if back else state["Status"]

    Wait(300, 0.1).until("Docker to start the app again", look)


def wait_until_answered(stack: Deployment, *, forgives: tuple[type[Exception], ...] = ()) -> None:
    """Wait until a request is answered with 200."""

    def look() -> object:
        status = requests.get(stack.url, timeout=60).status_code
        return None if status == requests.codes.ok else status

    Wait(300, 0.2, forgives).until("nginx to have found an app", look)


def wait_until_shared(stack: Deployment) -> None:
    """Wait until both apps get their shares of ten requests."""

    def look() -> object:
        seen = stack.shares(10)
        return None if seen == {"app1": 6, "app2": 4} else seen

    Wait(300, 0.2).until("both apps to get their shares", look)
