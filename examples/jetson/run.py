#!/usr/bin/env python3
"""Entry of the platform: runs in a venv, or from a release tree with unpacked wheels."""

import sys
from pathlib import Path

sys.dont_write_bytecode = True  # a release tree is immutable

# Links are followed now, so that switching `current` later does not move a running process.
ROOT = Path(__file__).absolute().parent.resolve()
for part in ("site-packages", "backend"):
    if (ROOT / part).is_dir():
        sys.path.insert(0, str(ROOT / part))

from platform_cli.main import main  # noqa: E402  (the search path comes first)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
