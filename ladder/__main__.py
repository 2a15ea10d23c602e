"""`python -m covlaw.ladder` is the command `covlaw`."""

import sys

from covlaw.ladder.cli import main

sys.exit(main())
