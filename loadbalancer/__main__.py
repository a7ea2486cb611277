"""Start the verbs: `python -m loadbalancer`."""

import sys

from loadbalancer.cli import main

sys.exit(main(sys.argv[1:]))
