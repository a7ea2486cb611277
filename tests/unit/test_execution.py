"""The output of a command in Docker's format, and the health of a container."""

import struct
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.engine import Handle
from loadbalancer.engine.exec import health, printed


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=300))))
def test_the_pieces_of_both_streams_come_out_in_their_order(
    pieces: list[tuple[int, bytes]],
) -> None:
    stream = b"".join(struct.pack(">BxxxI", of, len(data)) + data for of, data in pieces)
    assert printed(stream) == b"".join(data for _, data in pieces)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"Status": "running", "Health": {"Status": "starting"}}, "starting"),
        ({"Status": "running"}, "running"),
        # The last result of a check stays with a container that does not run.
        ({"Status": "exited", "Health": {"Status": "healthy"}}, "exited"),
        ({"Status": "restarting", "Health": {"Status": "unhealthy"}}, "restarting"),
    ],
)
def test_the_health_of_a_container(state: dict[str, Any], expected: str) -> None:
    container = SimpleNamespace(attrs={"State": state}, reload=lambda: None)
    assert health(cast(Handle, container)) == expected
