"""The app of the soak: bodies of any size in both directions, event streams, and its version."""

import os
import time
import zlib
from collections.abc import Iterator

from flask import Flask, Response, jsonify, request

app = Flask(__name__)

PIECE = 1 << 16
"""Bytes of a piece of a body; no two pieces of one are equal."""
_PATTERN = bytes(number * 167 % 251 for number in range(PIECE))

VERSION = 0
"""The test appends another value for each new version."""


def content(seed: int, size: int) -> Iterator[bytes]:
    """Yield the pieces of the one body that has this seed and size."""
    for number in range(-(-size // PIECE)):
        piece = b"%12d %8d " % (number, seed) + _PATTERN[22:]
        yield piece[: size - number * PIECE]


def checksum(pieces: Iterator[bytes]) -> int:
    """Compute the CRC-32 of a body."""
    found = 0
    for piece in pieces:
        found = zlib.crc32(piece, found)
    return found


@app.after_request
def name_version(response: Response) -> Response:
    """Say which version of which app has answered."""
    response.headers["X-Version"] = f"{os.environ['APP']} {VERSION}"
    return response


@app.get("/")
def greeting() -> str:
    """Answer like the apps of the project."""
    return f"This is {os.environ['APP'].capitalize()}"


@app.get("/body/<int:seed>/<int:size>")
def body(seed: int, size: int) -> Response:
    """Send a body."""
    answer = Response(content(seed, size), mimetype="application/octet-stream")
    answer.content_length = size
    return answer


@app.post("/body")
def received() -> Response:
    """Say what has arrived."""
    length = found = 0
    while piece := request.stream.read(PIECE):
        length += len(piece)
        found = zlib.crc32(piece, found)
    return jsonify(length=length, checksum=found)


@app.get("/events/<int:count>")
def events(count: int) -> Response:
    """Send so many events, one a second."""

    def produce() -> Iterator[str]:
        for number in range(count):
            yield f"data: {number}\n\n"
            time.sleep(1)
        yield "data: end\n\n"

    return Response(produce(), mimetype="text/event-stream")
