"""The Docker engine that the stack's containers run in."""

import os
from urllib.parse import urlsplit

import docker


def connect() -> docker.DockerClient:
    """Connect to the engine that DOCKER_HOST names, else to the local socket."""
    over_ssh = os.environ.get("DOCKER_HOST", "").startswith("ssh://")
    return docker.from_env(use_ssh_client=over_ssh)


def remote_host() -> str | None:
    """Name the machine that the engine is on; None where it is this one."""
    url = urlsplit(os.environ.get("DOCKER_HOST", ""))
    return url.hostname if url.scheme in {"tcp", "http", "https", "ssh"} else None


def whereabouts() -> str:
    """Say where the engine is sought, to go on from "the Docker engine" in an error."""
    return "at DOCKER_HOST" if remote_host() else "on this machine"
