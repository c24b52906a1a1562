"""The command `prefrontier`: from its first moment, signals end it cleanly."""

from __future__ import annotations

import sys
from typing import Any

from bench.interrupt import exit_status_of, ignore_signals, raise_on_signals


def main() -> Any:
    """Run the command line."""
    raise_on_signals()
    try:
        # The command line takes longer to import than to be interrupted.
        from bench.cli import main as run

        return run()
    except KeyboardInterrupt as interrupt:
        print("prefrontier: interrupted", file=sys.stderr)
        sys.exit(exit_status_of(interrupt))
    finally:
        # All is said and done; Python itself takes a moment to end.
        ignore_signals()


if __name__ == "__main__":
    main()
