"""The format in which Docker sends the output of a command."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.engine.exec import printed


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=300))))
def test_the_pieces_of_both_streams_come_out_in_their_order(
    pieces: list[tuple[int, bytes]],
) -> None:
    stream = b"".join(struct.pack(">BxxxI", of, len(data)) + data for of, data in pieces)
    assert printed(stream) == b"".join(data for _, data in pieces)
