"""`python3 -m toolchain`: install everything that the stack needs and this machine lacks.

python3 -m toolchain [--dev]       what `./lb up` needs; --dev adds what the tests need
python3 -m toolchain env           print shell exports that make plain `pulumi` work
python3 -m toolchain tested        exit with 0 if this content has passed its tests; --record it
"""

from __future__ import annotations

import sys

OLDEST = (3, 11)

if sys.version_info < OLDEST:
    sys.exit(
        "Python 3.11 or newer is needed, and this is {}.{}. Install one and name it: "
        "make PYTHON=python3.11".format(*sys.version_info[:2])
    )

from toolchain.cli import main  # noqa: E402 - an older Python cannot import it

sys.exit(main(sys.argv[1:]))
