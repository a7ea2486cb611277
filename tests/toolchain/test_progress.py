"""Progress, for what the engine says while it builds."""

import io

from toolchain.steps import Progress


def test_progress_is_one_plain_line_whatever_was_reported() -> None:
    stream = io.StringIO()
    Progress("nginx image", stream, every=0.0)("\x1b[91mrehash: warning\n\x1b[0m")
    assert stream.getvalue() == f"  {'nginx image':<16}rehash: warning  0 s\n"
