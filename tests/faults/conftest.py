"""The stacks of tests/stack, for the long tests."""

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
    "layers",
    "module_stack",
    "own_stack",
    "session_changing_stack",
    "session_stack",
    "stack",
    "stack_of_any_weights",
]
