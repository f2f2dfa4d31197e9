"""`python -m alfred` is the umbrella command."""

import sys

from alfred.umbrella import main

if __name__ == "__main__":
    sys.exit(main())
