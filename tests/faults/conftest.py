"""The stacks of tests/stack and the proxies of tests/apps, for the long tests."""

from tests.apps.conftest import client, nginx_image, python_image, stubs
from tests.stack.conftest import (
    base_images,
    changing_stack,
    layers,
    module_stack,
    own_stack,
    session_changing_stack,
    session_stack,
    stack,
    stack_of_any_weights,
)

__all__ = [
    "base_images",
    "changing_stack",
    "client",
    "layers",
    "module_stack",
    "nginx_image",
    "own_stack",
    "python_image",
    "session_changing_stack",
    "session_stack",
    "stack",
    "stack_of_any_weights",
    "stubs",
]
