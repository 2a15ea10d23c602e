"""The command `covlaw`: arguments in, exit code out, no traceback for a user's mistake."""

import logging
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from covlaw import __version__
from covlaw.ladder.commands.llm.settings import spread_settings
from covlaw.ladder.commands.table import COMMANDS, LLM_COMMANDS
from covlaw.ladder.exit_codes import BAD_USAGE, FAILED, READER_GONE, SIGNALLED
from covlaw.ladder.plain_text import PlainFormatter, complain
from covlaw.ladder.terminal import fall_silent, reader_gone, stoppable
from covlaw.theory._numerics.errors import CovlawError, unknown
from covlaw.theory._numerics.sources import first_line

DESCRIPTION = (
    "Check the covariance law of multi-objective alignment, from a symbolic proof to an LLM RL "
    "loop. Exit code: 0, 1 if a claim is refuted, 2 for a mistake on the command line, 3 for a "
    "crash."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    if logging.lastResort:  # warnings on stderr, where nobody has set up logging
        logging.lastResort.setFormatter(PlainFormatter())
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv))
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        fall_silent()
        return READER_GONE
    return code


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["--version"]:
        print(f"covlaw {__version__}")
        return 0
    try:
        call = _prepared(arguments)
    except ModuleNotFoundError as error:
        return complain(f"the command line needs {error.name!r}: pip install 'covlaw[cli]'")
    except CovlawError as error:
        return complain(str(error))
    try:
        code = call()
    except CovlawError as error:
        return complain(str(error))
    except KeyboardInterrupt as interrupt:
        kept = "interrupted; what was recorded is kept, the same command without --fresh continues"
        complain(str(interrupt) or kept)
        return SIGNALLED + getattr(interrupt, "number", signal.SIGINT)
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


def _prepared(arguments: list[str]) -> Callable[[], Any]:
    """Find the command and import its module; calling the result reads its options and runs it.

    Raises:
        CovlawError: for an unknown command, with the near matches.
        ModuleNotFoundError: where what the command line is built with is not installed.
    """
    prog, about, known = "covlaw", DESCRIPTION, COMMANDS
    if arguments[:1] == ["llm"]:
        prog, about, known = "covlaw llm", first_line(COMMANDS["llm"]), LLM_COMMANDS
        arguments = arguments[1:]
    name = arguments[0] if arguments else ""
    if name and not name.startswith("-") and name not in known:
        what = "command" if known is COMMANDS else f"command of `{prog}`"
        raise unknown(what, name, tuple(known))
    with stoppable():
        import tyro

        config = (tyro.conf.OmitArgPrefixes, tyro.conf.AvoidSubcommands)
        if name in known:
            command, rest = _imported(known[name]), spread_settings(arguments[1:])
            return lambda: tyro.cli(command, prog=f"{prog} {name}", args=rest, config=config)
        whole = name.startswith("--tyro-")  # a shell's completion wants every option
        commands = {n: _imported(place) if whole else _titled(place) for n, place in known.items()}
    return lambda: tyro.extras.subcommand_cli_from_dict(
        commands, prog=prog, description=about, args=arguments, config=config
    )


def _imported(place: str) -> Callable[..., Any]:
    module, _, name = place.partition(":")
    command: Callable[..., Any] = getattr(import_module(module), name)
    return command


def _titled(place: str) -> Callable[[], None]:
    """Stand in for a command in the list of all: nothing but its first line."""

    def command() -> None:
        pass

    command.__doc__ = first_line(place)
    return command
