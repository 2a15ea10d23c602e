"""The one exception a user's mistake raises."""


class CovlawError(ValueError):
    """Bad input: the message names the culprit and the remedy.

    The command line prints the message without a traceback and exits with 2.
    """
