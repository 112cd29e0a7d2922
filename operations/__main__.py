"""`python -m operations` is `berth`."""

import sys

if __name__ == "__main__":
    try:
        from operations.cli import main

        main()
    except KeyboardInterrupt:
        # operations.errors.INTERRUPTED; an import may be what was interrupted.
        sys.exit(130)
