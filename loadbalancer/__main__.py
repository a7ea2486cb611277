"""Start the command line: `python -m loadbalancer`, which `./lb` runs."""

import sys


def _main() -> int:
    try:
        from loadbalancer.cli import main  # noqa: PLC0415 - what it imports may be missing

        return main(sys.argv[1:])
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("loadbalancer"):
            raise
        print(f"error: {error.name} is missing in .venv. Install it: ./lb up", file=sys.stderr)
        return 1


sys.exit(_main())
