"""Entry point of ``python tools/bench`` and of ``python -m tools.bench``."""

import sys
from pathlib import Path

if __package__:
    from .cli import main
else:
    # Run by path, Python puts this folder on sys.path. Its parent is what makes the package
    # importable, and the folder must not stay: its modules would be top-level names.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from bench.cli import main

if __name__ == "__main__":
    sys.exit(main())
