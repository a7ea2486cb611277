"""Start the command line: `python -m loadbalancer`, which `./lb` runs."""

import sys

from loadbalancer.cli import main

sys.exit(main(sys.argv[1:]))
