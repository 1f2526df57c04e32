"""`python -m shallowexp` is `shallowexp`."""

import sys

from shallowexp.cli.app import main

if __name__ == "__main__":  # processes that an executor starts import this, too
    sys.argv[0] = "shallowexp"  # what a sweep's command is recorded as
    main()
