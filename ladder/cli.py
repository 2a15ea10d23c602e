"""The command `covlaw`: arguments in, exit code out, no traceback for a user's mistake."""

import sys
import traceback
from collections.abc import Sequence

from covlaw.ladder.exit_codes import BAD_USAGE, FAILED, INTERRUPTED, READER_GONE
from covlaw.ladder.terminal import fall_silent, reader_gone, stoppable

DESCRIPTION = (
    "Check the covariance law of multi-objective alignment, from a symbolic proof to an LLM RL "
    "loop. Exit code: 0, 1 if a claim is refuted, 2 for a mistake on the command line, 3 for a "
    "crash."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        code = _run(argv)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        fall_silent()
        return READER_GONE
    return code


def _run(argv: Sequence[str] | None) -> int:
    try:
        with stoppable():
            import tyro

            from covlaw.ladder.commands import table as commands
            from covlaw.ladder.commands.llm.settings import spread_settings
    except ModuleNotFoundError as error:
        return _complain(f"the command line needs {error.name!r}: pip install 'covlaw[cli]'")
    from covlaw.theory._numerics.errors import CovlawError

    arguments = spread_settings(list(sys.argv[1:] if argv is None else argv))
    nested = arguments[:1] == ["llm"]
    try:
        code = tyro.extras.subcommand_cli_from_dict(
            commands.LLM_COMMANDS if nested else commands.COMMANDS,
            prog="covlaw llm" if nested else "covlaw",
            description=commands.llm.__doc__ if nested else DESCRIPTION,
            args=arguments[1:] if nested else arguments,
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.AvoidSubcommands),
        )
    except CovlawError as error:
        return _complain(str(error))
    except KeyboardInterrupt as interrupt:
        kept = "interrupted; what was recorded is kept, the same command without --fresh continues"
        _complain(str(interrupt) or kept)
        return INTERRUPTED
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # so says rich
            raise stop.__context__ from None
        return stop.code if isinstance(stop.code, int) else BAD_USAGE
    except Exception as error:
        if isinstance(error, BrokenPipeError) and reader_gone():
            raise
        traceback.print_exc()
        return FAILED  # Python's own code for it, 1, would say that a claim is refuted
    return int(code or 0)


def _complain(message: str) -> int:
    print(f"covlaw: {message}", file=sys.stderr)
    return BAD_USAGE
