"""`python -m covlaw.ladder.real`: RL on a real chat model, resumable; what it did, a report."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from covlaw.ladder.exit_codes import INTERRUPTED
from covlaw.ladder.plain_text import MESSAGE, complain, shortened, spelled

PAGE = "report.html"


def main(argv: Sequence[str] | None = None) -> int:
    """Run and return the exit code."""
    options = make_parser().parse_args(argv)
    from covlaw.theory._numerics.errors import CovlawError

    try:
        _run(options)
    except CovlawError as error:
        return complain(str(error))
    except KeyboardInterrupt as interrupt:
        return complain(str(interrupt) or "interrupted; the same command continues", INTERRUPTED)
    return 0


def _run(options: argparse.Namespace) -> None:
    say("loading torch and transformers")
    from covlaw.ladder.commands.llm.settings import read_settings
    from covlaw.ladder.real.estimate import measured_speeds, told
    from covlaw.ladder.real.judged import LEAST_PROMPTS, Sizes, words
    from covlaw.ladder.real.record import write_record
    from covlaw.ladder.real.settings import (
        jobs_of,
        recorded_threads,
        require_counts,
        require_shared,
    )
    from covlaw.ladder.report import write_report
    from covlaw.records.real import FILE

    require_counts(
        seeds=(options.seeds, 1),
        steps=(options.steps, 1),
        audits=(options.audits, -1),
        prompts=(options.prompts, LEAST_PROMPTS),
    )
    own = read_settings(options.set)
    jobs = jobs_of(options.methods, options.seeds)
    require_shared(own, options.methods)
    given = {"model": options.model, "steps": options.steps, "audits": options.audits}
    threads = {"threads": recorded_threads(options.out, jobs)}
    changes = given | threads | own
    configs = {job: job.config(options.out, changes) for job in jobs}
    say(f"loading {options.model} and timing one micro-batch")
    sizes = Sizes(options.prompts)
    say(told(list(configs.values()), measured_speeds(configs.values()), sizes))
    if options.dry_run:
        return
    for job, config in configs.items():
        _train(job.name, config)
    record = write_record(options.out, jobs, say, sizes=sizes)
    for line in words(record):
        _print(line)
    page = write_report(options.out, out=options.out / PAGE)
    say(f"record: {options.out / FILE}; report: {page}")


def _train(name: str, config: Any) -> None:
    """Train a run, or go on with it, a line a step."""
    from covlaw.ladder.progress import training_news
    from covlaw.llm.train import train

    say(f"{name}: {config.steps} steps in {config.out}")

    def news(done: int, total: int, record: dict[str, Any]) -> None:
        say(f"{name}: step {done}/{total}, {record['seconds']:.0f} s  {training_news(record)}")

    train(config, news)


def say(line: str) -> None:
    """Print a line at once, on a terminal or off it."""
    _print(f"covlaw real: {line}")


def _print(line: str) -> None:
    print(shortened(spelled(line), MESSAGE), flush=True)


def make_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m covlaw.ladder.real",
        description="RL with three conflicting rewards on a real chat model, with and without the "
        "guard. What was stopped continues with the same command.",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/real"), help="folder")
    parser.add_argument("--model", default="smollm2", help="smollm2, base, a folder or a hub id")
    parser.add_argument("--methods", nargs="+", default=["linear", "guarded"], metavar="METHOD",
                        help="some of linear, guarded, ctwa-fast, mgda")  # fmt: skip
    parser.add_argument("--seeds", type=int, default=1, help="runs of each method")
    parser.add_argument("--steps", type=int, default=20, help="of each run")
    parser.add_argument("--audits", type=int, default=2, help="of each run, light ones")
    parser.add_argument("--prompts", type=int, default=64, help="held out, that judge the runs")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
                        help="other settings of every run, as in covlaw llm train")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="the estimate alone")
    return parser


if __name__ == "__main__":
    sys.exit(main())
