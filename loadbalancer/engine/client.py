"""The client of the Docker engine, and the types and errors of Docker's SDK that others need."""

import os
from urllib.parse import urlsplit

import docker
from docker import DockerClient as Client
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container as Handle
from requests import RequestException

EngineError = DockerException
"""No engine answers, or it refuses a request."""

ENGINE_ERRORS = (DockerException, RequestException)
"""What any call to the engine may raise: the SDK lets the errors of its HTTP client through."""

__all__ = [
    "ENGINE_ERRORS",
    "APIError",
    "Client",
    "EngineError",
    "Handle",
    "ImageNotFound",
    "NotFound",
    "connect",
    "location",
    "remote_host",
]


def connect() -> Client:
    """Connect to the engine that DOCKER_HOST names, else to the local socket."""
    over_ssh = os.environ.get("DOCKER_HOST", "").startswith("ssh://")
    return docker.from_env(use_ssh_client=over_ssh)


def remote_host() -> str | None:
    """Name the machine that the engine is on; None where it is this one."""
    url = urlsplit(os.environ.get("DOCKER_HOST", ""))
    return url.hostname if url.scheme in {"tcp", "http", "https", "ssh"} else None


def location() -> str:
    """Describe where the engine is, to follow "the Docker engine" in a message."""
    return "at DOCKER_HOST" if remote_host() else "on this machine"
