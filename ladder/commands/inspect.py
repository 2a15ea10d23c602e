"""`covlaw inspect`: the verdict on the rollouts of any run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from covlaw.ladder.terminal import stoppable
from covlaw.theory._numerics.errors import CovlawError

if TYPE_CHECKING:
    from covlaw.plugins.inspection.inspection import Inspection

Named = tuple[tuple[str, ...], str | None, str | None, str]
"""Columns of rewards, group and step, and the format."""
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
    targets: tuple[float, ...] = (),
    precision: float | None = None,
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
        targets: Least covariance of each reward with the group-std advantage: is there room (T36)?
        precision: Standard error of a step's law: how large must groups be for it (T21)?
        fail_on: Exit with 1 if there is an alarm, an opposed pair of rewards, or a score that does
            not vary in half of the groups.
        html: Page with everything, one file that needs no network.
        json: File with every number.
    """
    with stoppable():
        from covlaw.ladder.inspected import compare, show
        from covlaw.ladder.tables import console

    columns = (rewards, group, step, format)
    asked = {"targets": list(targets) or None, "precision": precision}
    found = _inspected(logs, weights, advantage, columns, last, **asked)
    if json:  # files first: whoever reads the output may leave early
        _write_json(found, json)
    if html:
        _write_page(found, html, logs, columns)
    out = console()
    show(found, out)
    if against:
        other = _inspected(against, weights, advantage, columns, last)
        compare(found, other, out)
    if html:
        out.print(f"page: {html}", markup=False)
    return FOUND if _fails(found, fail_on) else 0


def _inspected(
    logs: Sequence[str],
    weights: Sequence[float],
    advantage: str,
    columns: Named,
    last: int | None,
    **asked: Any,
) -> "Inspection":
    with stoppable():
        from covlaw.plugins.inspection.inspection import inspect_log
        from covlaw.plugins.logs.read import read_log

    if last is not None and last < 1:
        raise CovlawError(f"--last {last}: give a number of steps ≥ 1")
    rewards, group, step, format = columns
    log = read_log(list(logs), format, rewards=rewards, group=group, step=step)
    log = log if last is None else log.last(last)
    return inspect_log(log, list(weights) or None, advantage, **asked)


def _write_json(found: "Inspection", path: Path) -> None:
    from covlaw.records.files import to_json, write_text, writing_to

    with writing_to(path):
        write_text(path, to_json(found.to_dict(), indent=1) + "\n")


def _write_page(found: "Inspection", path: Path, logs: Sequence[str], columns: Named) -> None:
    from covlaw.ladder.report.inspection_page import inspection_page
    from covlaw.plugins.inspection.losers import losers
    from covlaw.plugins.logs.columns import Asked
    from covlaw.plugins.logs.texts import read_texts
    from covlaw.records.files import write_text, writing_to

    with writing_to(path):
        rewards, group, step, format = columns
        worst = losers(found)
        wanted = {(loser.step, loser.prompt) for loser in worst}
        texts = read_texts(list(logs), wanted, Asked(format, rewards, group, step))
        write_text(path, inspection_page(found, worst, texts))


def _fails(found: "Inspection", what: Sequence[str]) -> bool:
    from covlaw.plugins.inspection.conflicts import alarms, opposed

    tally = found.scan.tally
    return (
        ("alarm" in what and bool(alarms(found)))
        or ("opposed" in what and bool(opposed(found)))
        or ("dead" in what and 2 * tally.dead_score >= tally.groups)
    )
