"""The first sentence about runs: who fell, from which step on, and what saw it coming."""

from collections.abc import Iterable, Sequence

from covlaw.records.constants import BASELINE
from covlaw.records.findings import counted, levels
from covlaw.records.ladder import LlmRun, audits
from covlaw.records.verdict.falls import Fall, falls
from covlaw.records.verdict.rows import Run, of_run

DIAGNOSIS, FORECAST = "exact_change", "law"
"""Who is asked: the exact form of the law, and the bare law."""


def headline(runs: Sequence[LlmRun]) -> str:
    """One or two sentences on several runs, or on one; "" without any."""
    if not runs:
        return ""
    judged = [of_run(run, run.name, audits([run])) for run in runs]
    if len(judged) == 1:
        return of_one(judged[0], audited=bool(judged[0].audits))
    return of_several(judged)


def of_one(run: Run, *, audited: bool = True) -> str:
    """Say each fall of a run, or that there was none."""
    found = list(falls(run))
    if not found:
        return f"No objective fell for certain: {change_words(run)}."
    return " ".join(f"{fall_words(fall, audited=audited)}." for fall in found)


def fall_words(fall: Fall, *, audited: bool = True) -> str:
    """Return "clarity fell from step 7; the diagnosis saw it 4 steps earlier, …"."""
    begun = f"{fall.objective} fell from step {fall.step}"
    if not audited:
        return f"{begun}; no audit was there to see it coming"
    saw, said = fall.lead[DIAGNOSIS], fall.lead[FORECAST]
    if saw is None and said is None:
        return f"{begun}; neither the diagnosis nor the bare forecast saw it earlier"
    if saw is None:
        return f"{begun}; the bare forecast said so {_earlier(said)}, the diagnosis did not"
    if said is None:
        return f"{begun}; the diagnosis saw it {_earlier(saw)}, the bare forecast did not"
    if said == saw:
        return f"{begun}; the diagnosis and the bare forecast saw it {_earlier(saw)}"
    return f"{begun}; the diagnosis saw it {_earlier(saw)}, the bare forecast {_earlier(said)}"


def of_several(runs: Sequence[Run]) -> str:
    """Count the falls, objective by objective, and who announced them."""
    found = [fall for run in runs for fall in falls(run)]
    if not found:
        return f"No objective fell for certain in {counted(len(runs), 'run')}."
    names = dict.fromkeys(fall.objective for fall in found)
    audited = {run.name for run in runs if run.audits}
    told = (_counted([f for f in found if f.objective == n], len(runs), audited) for n in names)
    return " ".join(told)


def _counted(found: Sequence[Fall], runs: int, audited: set[str]) -> str:
    begun = f"{found[0].objective} fell in {len(found)} of {runs} runs"
    found = [fall for fall in found if fall.run in audited]
    if not found:
        return f"{begun}; no audit was there to see it coming."
    seen = (
        sum(f.lead[name] is not None for f in found) for name in (DIAGNOSIS, FORECAST, BASELINE)
    )
    diagnosis, forecast, plain = seen
    return (
        f"{begun}; of {counted(len(found), 'audited fall')} the diagnosis announced "
        f"{diagnosis} before the reward curve showed it, the bare forecast {forecast}, "
        f"the plain difference of means {plain}."
    )


def change_words(run: Run) -> str:
    """Every objective's start and end, e.g. "accuracy 0.56 → 0.99, clarity 0.46 → 0.00"."""
    return ", ".join(ends_words(run.objectives, run.ends.start, run.ends.end))


def ends_words(
    objectives: Sequence[str], start: Iterable[float], end: Iterable[float]
) -> list[str]:
    """One phrase an objective, all to the same decimals."""
    before, after = list(start), list(end)
    shown = levels([*before, *after])
    pairs = zip(objectives, shown[: len(before)], shown[len(before) :], strict=True)
    return [f"{name} {first} → {last}" for name, first, last in pairs]


def _earlier(steps: int | None) -> str:
    return f"{counted(steps or 0, 'step')} earlier"
