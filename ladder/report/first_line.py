"""The sentence that a page, a row of a project and the terminal open with."""

from collections.abc import Sequence
from pathlib import Path

from covlaw.ladder.report.verdict_section import headline as verdict_counts
from covlaw.records.reading import Recorded, below, holds_something, read, read_all
from covlaw.records.runs import CONFIG
from covlaw.records.study import table_of
from covlaw.records.verdict.headline import headline


def first_line(recorded: Recorded) -> str:
    """Say what a ladder, a study or LLM runs found."""
    if recorded.kind == "study":
        return _study(recorded)
    return " ".join(filter(None, (_verdicts(recorded), headline(recorded.runs))))


def first_lines(folders: Sequence[Path]) -> list[str]:
    """One line a folder; of a project's, one on all of its LLM runs together.

    Raises:
        CovlawError: as `records.reading.read_all`.
    """
    if len(folders) == 1 and not (folders[0] / CONFIG).exists():
        read_below = [read(place) for place in below(folders[0]) if holds_something(place)]
        return [headline([run for own in read_below if own.kind == "LLM run" for run in own.runs])]
    found = read_all(folders)
    if len(found) == 1:
        return [first_line(found[0])]
    return [f"{own.name}: {first_line(own)}" for own in found]


def _verdicts(recorded: Recorded) -> str:
    found = verdict_counts(recorded.verdicts["verdicts"])
    if not found["statements"]:
        return ""
    if found["refuted"]:
        return f"Refuted: {', '.join(found['refuted'])}."
    return f"Nothing was refuted in {found['comparisons']:,} comparisons of both sides."


def _study(recorded: Recorded) -> str:
    cells, worlds, names = table_of(recorded.study)
    if not names:
        return ""
    share = {name: 100 * cells[name, worlds[-1]]["sacrifices"]["mean"] for name in names}
    least, most = (pick(names, key=lambda name: share[name]) for pick in (min, max))
    return (
        f"Runs that sacrifice an objective in {worlds[-1]}: {share[least]:.0f} % under {least} to "
        f"{share[most]:.0f} % under {most}."
    )
