"""`python -m alfred` is the umbrella command."""

import sys

from alfred.cli import main

if __name__ == "__main__":
    sys.exit(main())
