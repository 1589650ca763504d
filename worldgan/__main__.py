"""``python -m worldgan`` and ``torchrun -m worldgan``: the command line."""

from __future__ import annotations

import sys

from worldgan.cli import main

if __name__ == "__main__":
    sys.exit(main())
