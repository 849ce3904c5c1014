"""``python -m pypes`` is the command ``pypes``."""

from pypes.cli import main

if __name__ == "__main__":
    main()
