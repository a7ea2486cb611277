"""Progress, for what the engine says while it builds."""

import io
import re

from toolchain.steps import Progress


def test_progress_is_one_plain_line_whatever_was_reported() -> None:
    stream = io.StringIO()
    Progress("nginx image", stream, every=0.0)("\x1b[91mrehash: warning\n\x1b[0m")
    assert re.fullmatch(r"  nginx image {5}rehash: warning  \d+ s\n", stream.getvalue())
