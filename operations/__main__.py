"""`python -m operations` is `berth`."""

from operations.cli import main

if __name__ == "__main__":
    main()
