"""`python -m shallowexp` is `shallowexp`."""

import sys

from shallowexp.cli.app import main

sys.argv[0] = "shallowexp"  # what a sweep's command is recorded as
main()
