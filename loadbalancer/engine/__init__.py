"""The Docker engine: the only package that imports Docker's SDK.

The SDK takes a third of a second to import, so it is imported with the first use of a name below.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadbalancer.engine.client import (
        ENGINE_ERRORS,
        APIError,
        Client,
        EngineError,
        Handle,
        ImageNotFound,
        NotFound,
        connect,
        location,
        remote_host,
    )

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


def __getattr__(name: str) -> object:
    """Import the client when one of its names is used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("loadbalancer.engine.client"), name)
