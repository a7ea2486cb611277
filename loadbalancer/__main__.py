"""Start the command line: `python -m loadbalancer`, which `./lb` runs."""

import sys

try:
    from loadbalancer.cli import main
except ModuleNotFoundError as error:
    if (error.name or "").startswith("loadbalancer"):
        raise
    sys.exit(f"error: package {error.name} is missing in .venv. Install it: ./lb up")

sys.exit(main(sys.argv[1:]))
