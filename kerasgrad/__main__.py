"""`python -m kerasgrad`."""

from __future__ import annotations

import sys

from kerasgrad.cli import main

if __name__ == "__main__":
    sys.exit(main())
