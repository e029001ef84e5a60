"""``python -m acmectl``."""

import sys

from acmectl.cli import main

if __name__ == "__main__":
    sys.exit(main())
