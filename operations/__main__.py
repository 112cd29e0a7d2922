"""`python -m operations` is `berth`."""

import sys

INTERRUPTED = 130

if __name__ == "__main__":
    try:
        from operations.cli import main

        main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
