"""`covlaw inspect`: the verdict on the rollouts of any run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from covlaw.ladder.terminal import stoppable
from covlaw.theory._numerics.errors import CovlawError

if TYPE_CHECKING:
    from covlaw.plugins.inspection.inspection import Inspection

FOUND = 1
"""Exit code where `fail_on` found what it names."""


def inspect(
    logs: Annotated[tuple[str, ...], tyro.conf.Positional],
    weights: tuple[float, ...] = (),
    advantage: str = "auto",
    rewards: tuple[str, ...] = (),
    group: str | None = None,
    step: str | None = None,
    format: str = "auto",
    last: int | None = None,
    against: tuple[str, ...] = (),
    fail_on: tuple[Literal["alarm", "opposed", "dead"], ...] = (),
    html: Path | None = None,
    json: Path | None = None,
) -> int:
    """Say who is being traded away in a run's rollouts, since when, and what would change it.

    Args:
        logs: Files, folders or patterns: TRL's completions_*.parquet, verl's rollout_data_dir, a
            run of covlaw, or any Parquet, JSONL, JSON or CSV with a row a completion.
        weights: Of the rewards in the score, in the order that is printed; none: all 1.
        advantage: column (the log's own), grpo, dr_grpo, rloo, gdpo, reinforce++, pooled_within;
            auto: the column, or else dr_grpo.
        rewards: Columns that are rewards; none: guessed, and printed.
        group: Column that completions of one prompt share.
        step: Column of the training step.
        format: trl, verl, covlaw or table; auto: by the columns.
        last: Only so many last steps.
        against: Log of another run, compared with this one.
        fail_on: Exit with 1 if there is an alarm, an opposed pair of rewards, or a score that does
            not vary in half of the groups.
        html: Page with everything, one file that needs no network.
        json: File with every number.
    """
    with stoppable():
        from covlaw.ladder.inspected import compare, show
        from covlaw.ladder.tables import console

    found = _inspected(logs, weights, advantage, rewards, group, step, format, last)
    out = console()
    show(found, out)
    if against:
        other = _inspected(against, weights, advantage, rewards, group, step, format, last)
        compare(found, other, out)
    if json:
        _write_json(found, json)
    if html:
        _write_page(found, html)
        out.print(f"page: {html}", markup=False)
    return FOUND if _fails(found, fail_on) else 0


def _inspected(
    logs: Sequence[str],
    weights: Sequence[float],
    advantage: str,
    rewards: Sequence[str],
    group: str | None,
    step: str | None,
    format: str,
    last: int | None,
) -> "Inspection":
    with stoppable():
        from covlaw.plugins.inspection.inspection import inspect_log
        from covlaw.plugins.logs.read import read_log

    if last is not None and last < 1:
        raise CovlawError(f"--last {last}: give a number of steps ≥ 1")
    names = {"rewards": rewards, "group": group, "step": step}
    log = read_log(list(logs), format, **names)  # type: ignore[arg-type]
    log = log if last is None else log.last(last)
    return inspect_log(log, list(weights) or None, advantage)


def _write_json(found: "Inspection", path: Path) -> None:
    from covlaw.records.files import to_json, write_text, writing_to

    with writing_to(path):
        write_text(path, to_json(found.to_dict(), indent=1) + "\n")


def _write_page(found: "Inspection", path: Path) -> None:
    from covlaw.ladder.report.inspection_page import inspection_page
    from covlaw.records.files import write_text, writing_to

    with writing_to(path):
        write_text(path, inspection_page(found))


def _fails(found: "Inspection", what: Sequence[str]) -> bool:
    from covlaw.plugins.inspection.conflicts import alarms, opposed

    tally = found.scan.tally
    return (
        ("alarm" in what and bool(alarms(found)))
        or ("opposed" in what and bool(opposed(found)))
        or ("dead" in what and 2 * tally.dead_score >= tally.groups)
    )
