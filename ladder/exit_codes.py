"""Exit codes of the command."""

REFUTED = 1
"""A claim is refuted."""
BAD_USAGE = 2
"""A mistake of the user: the message names it and the remedy."""
FAILED = 3
"""A check, or the command itself, crashed; what was recorded is kept."""
SIGNALLED = 128
"""And the signal's number, as a shell says of other programs: 143 for SIGTERM."""
INTERRUPTED = 130
"""Ctrl-C."""
READER_GONE = 141
"""Whoever read the output has left; 128 + SIGPIPE, what a shell says of other programs."""
