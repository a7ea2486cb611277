"""`python3 -m toolchain`: make sure of everything that the stack needs on this machine.

python3 -m toolchain [--dev]       what `make up` needs; --dev adds what the tests need
python3 -m toolchain env           print shell exports that make plain `pulumi` work
python3 -m toolchain config STACK  write the names of base images made here into a stack's config
"""

from __future__ import annotations

import sys

OLDEST = (3, 11)

if sys.version_info < OLDEST:
    sys.exit(
        "Python 3.11 or newer is needed, and this is {}.{}. Install one and name it: "
        "make PYTHON=python3.11".format(*sys.version_info[:2])
    )

from toolchain.cli import main  # noqa: E402 - only a Python that is new enough can read it

sys.exit(main(sys.argv[1:]))
