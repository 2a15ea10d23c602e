"""The verdict in sentences that a person would write, the most important one first."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from covlaw.plugins.inspection.conflicts import Trade, opposed, trades
from covlaw.plugins.inspection.signals import COLUMN, COMPARED

if TYPE_CHECKING:
    from covlaw.plugins.inspection.inspection import Inspection

DEAD = 0.2
"""Share of groups without a signal from which on it is worth a sentence."""
CAVEAT = (
    "A log shows the bare law alone, not what the optimiser makes of it: under AdamW objectives "
    "fall without its warning, so silence is no promise."
)


def headline(found: "Inspection") -> list[str]:
    """Who is traded away; then what would change it, what fell, what taught nothing."""
    first = [*_trades(found), *_mix(found)]
    fell = list(_falls(found))
    # a fall that no alarm announced matters more than that there was none
    first = [*first, *fell] if trades(found) else [*fell, *first]
    return [*first, *_asked(found), *_dead(found), *_normaliser(found), *_ahead(found), CAVEAT]


def alike(*numbers: float, error: float, sign: str = "") -> list[str]:
    """Numbers and, last, their error, all to the decimals that give the error two digits."""
    known = math.isfinite(error) and error > 0
    decimals = min(max(1 - math.floor(math.log10(error)), 2), 6) if known else 3
    return [*(f"{n + 0.0:{sign}.{decimals}f}" for n in numbers), f"{error:.{decimals}f}"]


def listed(names: Sequence[str]) -> str:
    """Join as in a sentence: a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def snippet(found: "Inspection") -> str:
    """The max-min mix as TRL takes it."""
    weights = ", ".join(f"{w:.3g}" for w in found.rising.mix.weights.tolist())
    return f"reward_weights=[{weights}]"


def _trades(found: "Inspection") -> Iterator[str]:
    names, lost = found.log.names, trades(found)
    for trade in lost:
        yield _trade(found, trade)
    if not lost:
        steps = len(found.scan.laws)
        over = "in the one step logged" if steps == 1 else f"in {steps} logged steps"
        even = "By the bare law no" if found.falls else "No"
        yield f"{even} reward is certainly being traded away {over}."
        for j, k in opposed(found):
            yield (
                f"But {names[j]} and {names[k]} oppose each other within prompts (correlation "
                f"{found.correlation[j, k]:+.2f}): weights decide which of them gains."
            )


def _trade(found: "Inspection", trade: Trade) -> str:
    names = found.log.names
    since = "over the whole log" if trade.since is None else f"since step {trade.since}"
    rival = ""
    if trade.partner is not None:
        rival = f", against {names[trade.partner]} (correlation {trade.correlation:+.2f})"
    law, error = alike(trade.law, error=trade.standard_error, sign="+")
    return (
        f"{names[trade.reward]} is being traded away {since}: its law there is {law} ± {error}, "
        f"negative in {trade.share:.0%} of the groups in which it varies{rival}."
    )


def _mix(found: "Inspection") -> Iterator[str]:
    rising, names = found.rising, found.log.names
    if len(names) < 2:
        return
    if rising.answer == "none":
        yield "No non-negative weights raise all rewards: some mix of them never varies."
        return
    how = {
        "certified": "certified on prompts that did not choose them",
        "estimated": "by these samples, not certified on prompts that did not choose them",
    }[rising.answer]
    left = "".join(f"; {names[j]} never varies within a prompt" for j in rising.idle)
    yield f"Over all logged steps every reward rises under {snippet(found)} ({how}{left})."


def _asked(found: "Inspection") -> Iterator[str]:
    if found.room is not None:
        yield f"The {found.room.sentence}."
    if found.needed is not None:
        sizes = [
            f"{name} {'no size is enough' if k is None else k}"
            for name, k in zip(found.log.names, found.needed.completions, strict=True)
        ]
        yield (
            f"For a standard error of {found.needed.precision:.3g} of a step's law, with "
            f"{found.needed.groups:.3g} groups a step, completions a group: {', '.join(sizes)}."
        )


def _falls(found: "Inspection") -> Iterator[str]:
    for fall in found.falls:
        warned = (
            "no alarm came before it"
            if fall.lead is None
            else f"an alarm came {fall.lead} logged steps before it showed"
        )
        start, end, error = alike(fall.start, fall.end, error=fall.error)
        yield (
            f"{found.log.names[fall.reward]} fell from {start} to {end} (± {error}), visible at "
            f"step {fall.step}; {warned}."
        )


def _dead(found: "Inspection") -> Iterator[str]:
    tally, names = found.scan.tally, found.log.names
    share = tally.dead_score / max(tally.groups, 1)
    if share >= DEAD:
        yield (
            f"In {share:.0%} of the groups all completions have the same score: they teach nothing."
        )
    for j, name in enumerate(names):
        part = float(tally.dead[j] / tally.judged[j].clamp(min=1))
        if part == 1:
            yield f"{name} never varies within a prompt: no weight of it does anything."


def _normaliser(found: "Inspection") -> Iterator[str]:
    pool, names = found.scan.pool, found.log.names
    raw, standard = pool.estimate()[:, 1], pool.estimate()[:, 1 + COMPARED.index("grpo")]
    errors = pool.standard_error()
    turned = [
        name
        for j, name in enumerate(names)
        if raw[j] * standard[j] < 0
        and raw[j].abs() > 2 * errors[j, 1]
        and standard[j].abs() > 2 * errors[j, 1 + COMPARED.index("grpo")]
    ]
    if turned:
        yield f"Dividing by the group's std turns the law of {listed(turned)} round."


def _ahead(found: "Inspection") -> Iterator[str]:
    ahead, names = found.ahead, found.log.names
    if ahead is None or len(ahead.tilts) < 2:
        return
    last = ahead.tilts[-1]
    columns = zip(names, ahead.tilts[0].values, last.values, last.change_error, strict=True)
    ends = []
    for name, one, other, error in columns:
        before, after, bound = alike(float(one), float(other), error=float(error))
        ends.append(f"{name} {before} → {after} (± {bound})")
    whose = "the given weights" if found.given else "equal weights"
    yield (
        f"Tilted along {whose} as far as the last samples show (KL {last.kl:.2g}): "
        f"{'; '.join(ends)}."
    )
    if ahead.turns:
        yield (
            f"On that way {listed([names[j] for j in ahead.turns])} first moves one way and ends "
            "up the other."
        )


def signal_words(found: "Inspection") -> str:
    """What the law was taken with."""
    if found.scan.signal == COLUMN:
        return "the logged advantage"
    return f"the weighted sum of rewards, normalised by {found.scan.signal}"
