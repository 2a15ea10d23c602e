"""Write the marked blocks of docs/real.md from the record: from the source tree only.

`python tools/real_tables.py`, after `tools/real_runs.py` recorded.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import fill

import numpy as np

from covlaw.figures._drawing.render import recorded
from covlaw.records import real
from covlaw.records.findings import counted
from covlaw.records.ladder import array
from covlaw.theory.estimators.bootstrap import Interval
from covlaw.theory.estimators.calibration import Slope

PAGE = Path(__file__).parents[1] / "docs" / "real.md"
BLOCK = re.compile(r"<!-- (\w+) -->\n.*?<!-- /\1 -->", re.DOTALL)
WIDTH = 110


def page(text: str) -> str:
    """Replace what stands between the marks."""
    record = real.real_record(recorded("real"))
    return BLOCK.sub(
        lambda found: f"<!-- {found[1]} -->\n{BLOCKS[found[1]](record)}<!-- /{found[1]} -->", text
    )


def made(record: real.Record) -> str:
    """What was run, on what."""
    seeds = {m: real.seeds(record, m) for m in real.methods(record)}
    steps = sorted({run["steps"] for run in record["runs"].values()})
    counts = ", ".join(f"`{m}` {len(own)}" for m, own in seeds.items())
    hours = sum(run.get("seconds") or 0.0 for run in record["runs"].values()) / 3600
    machine, threads = record["environment"], record["settings"]["threads"]
    versions = machine["packages"]
    every = real.seeds(record)
    return _filled(
        f"{counted(len(record['runs']), 'run')} of {_listed(steps)} steps ({counts}; "
        f"seed{'s' if len(every) > 1 else ''} {_listed(every)}), "
        f"{hours:.1f} hours of steps and audits ({machine['processor']}, "
        f"{counted(threads, 'thread')}, torch {versions['torch']}, transformers "
        f"{versions['transformers']}), by `{record['command']}`; judged on "
        f"{record['sizes']['prompts']} held-out and as many training prompts, "
        f"{record['sizes']['completions']} completions each."
    )


def held_out(record: real.Record) -> str:
    """The change of each reward, method by method; forecast, and the guard's effect."""
    names = record["objectives"]
    lines = [["", *names, "log-ratio, rms"], ["---"] * (len(names) + 2)]
    base = record["base"]["means"]
    lines.append(["base, mean reward", *(f"{c['mean']:.2f}" for c in base), ""])
    law = record["law"]
    cells = zip(law["estimate"], law["se"], strict=True)
    lines.append(["law, equal weights", *(f"{_signed(e)} ± {s:.3f}" for e, s in cells), ""])
    for method in real.methods(record):
        own = real.runs_of(record, method)
        moved = [run["log_ratio_rms"] for run in own]
        changes = (_interval(c) for c in real.held_out_change(record, method))
        lines.append(
            [f"`{method}`, {counted(len(own), 'seed')}", *changes, f"{np.mean(moved):.2f}"]
        )
    if found := real.difference(record):
        pairs = counted(len(real.seeds(record, real.PLAIN, real.GUARDED)), "pair")
        lines.append([f"guarded − linear, {pairs}", *map(_interval, found), ""])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def measured(record: real.Record) -> str:
    """What audits measured beside what the exact form says."""
    first, later = (real.measured_slope(record, first=first) for first in (True, False))
    if not np.isfinite([first.low, later.low]).all():
        return _filled("They are too few for a line of what they measured on the exact form.")
    return _filled(
        "The line of what they measured on what the exact form says has a slope of "
        f"{_line(first)} at first steps and of {_line(later)} at later ones, where 1 is agreement: "
        f"{counted(first.points, 'change')} and {later.points}, errors in both, a jackknife over "
        f"the {first.clusters} and {later.clusters} pairs of a seed and a step, whose audits share "
        "prompts and random numbers."
    )


def _line(slope: Slope) -> str:
    return f"{slope.value:.2f} [{slope.low:.2f}, {slope.high:.2f}]".replace("-", "−")


def said(record: real.Record) -> str:
    """What follows, as far as these runs go."""
    parts = (_forecast, _diagnosis, _audited, _guarding, _others)
    return _filled(" ".join(sentence for part in parts for sentence in part(record)))


def _forecast(record: real.Record) -> Iterator[str]:
    if not real.runs_of(record, real.PLAIN):
        return
    law = array(record["law"]["estimate"])
    change = real.held_out_change(record, real.PLAIN)
    sure = [j for j, c in enumerate(change) if _decided(c)]
    right = [j for j in sure if np.sign(law[j]) == np.sign(change[j].mean)]
    names = record["objectives"]
    known = f"held out, under linear weights, {_listed([names[j] for j in sure])} changed"
    if not sure:
        known = "held out, under linear weights, no reward changed"
    known += ", by 95 % intervals"
    signs = [f"{_sign(v)} for {n}" for v, n in zip(law, names, strict=True)]
    yield f"The law's forecast is {_listed(signs)};"
    yield known + (f", {len(right)} of {len(sure)} with that sign." if sure else ".")


def _diagnosis(record: real.Record) -> Iterator[str]:
    """The exact form over whole runs, beside what was measured held out."""
    cells = [
        (
            bool(low is not None and high is not None and (low > 0 or high < 0)),
            run["held_out"][name],
            estimate,
        )
        for run in record["runs"].values()
        for name, estimate, low, high in zip(
            record["objectives"],
            *(run["exact_change"][key] for key in ("estimate", "low", "high")),
            strict=True,
        )
    ]
    sure = [(cell, estimate) for decided, cell, estimate in cells if decided]
    both = [(c, e) for c, e in sure if c["low"] > 0 or c["high"] < 0]
    right = sum(np.sign(c["mean"]) == np.sign(e) for c, e in both)
    yield (
        f"Of {len(cells)} changes over whole runs the exact form's interval on "
        f"{record['sizes']['prompts'] * record['sizes']['completions']} completions of the "
        f"base leaves out 0 in {len(sure)}, in {len(both)} of them the held-out one too, "
        f"{right} of these with the same sign."
    )


def _audited(record: real.Record) -> Iterator[str]:
    """How much a light audit of one step could tell."""
    found = list(real.audits(record))
    if not found:
        return
    signs = [sign for _, a in found for sign in (a["certified"] or {}).get("exact_change", [])]
    errors = [error for _, a in found for error in a["exact_change"]["se"] if error]
    sizes = [abs(e) for _, a in found for e in a["exact_change"]["estimate"]]
    rows = sorted({a["n_completions"] for _, a in found})
    yield (
        f"Of single steps' audits, {_listed(rows)} completions each, the exact form certifies "
        f"{sum(map(bool, signs))} of {len(signs)} signs: its size is {np.median(sizes):.3f} in the "
        f"median, its standard error {np.median(errors):.3f}."
    )


def _guarding(record: real.Record) -> Iterator[str]:
    guards = [run["guard"] for run in real.runs_of(record, real.GUARDED)]
    if not guards:
        return
    names, share = record["objectives"], np.mean([guard["share"] for guard in guards], 0)
    changed = float(np.mean([guard["changed"] for guard in guards]))
    shares = _listed([f"{n} {100 * v:.0f} %" for n, v in zip(names, share, strict=True)])
    yield "Shares of the guard's weights μ, as a mean over all steps, 0 in those that needed none:"
    yield f"{shares}; its corrections are {changed:.2f} of a step's length."
    apart = real.difference(record)
    if not apart:
        return
    better = [n for n, c in zip(names, apart, strict=True) if c.low > 0]
    worse = [n for n, c in zip(names, apart, strict=True) if c.high < 0]
    if not better and not worse:
        yield "Held out, guarding made no difference by 95 % intervals over these prompts."
    if better:
        yield f"Held out, by 95 % intervals, guarding left {_listed(better)} higher."
    if worse:
        yield f"Held out, by 95 % intervals, guarding left {_listed(worse)} lower."
    yield from _traded(record)


def _traded(record: real.Record) -> Iterator[str]:
    """Runs of as many steps go unequally far: what one reward's gain cost another in either."""
    both = real.PLAIN, real.GUARDED
    common = real.seeds(record, *both)
    plain, kept = ([c.mean for c in real.held_out_change(record, m, common)] for m in both)
    gainer, loser = int(np.argmax(plain)), int(np.argmin(plain))
    far = [_far(real.runs_of(record, m, common)) for m in both]
    yield (
        f"That is after as many steps, not at equal KL: log-ratios are {far[0]} (rms) unguarded "
        f"and {far[1]} guarded."
    )
    if plain[loser] < 0 < plain[gainer] and kept[gainer] > 0:
        names, costs = record["objectives"], [-m[loser] / m[gainer] for m in (plain, kept)]
        yield (
            f"For each point that {names[gainer]} gained, {names[loser]} lost {costs[0]:.2f} "
            f"unguarded and {costs[1]:.2f} guarded."
        )


def _others(record: real.Record) -> Iterator[str]:
    """Whom methods without fixed weights raise and lower."""
    for method in real.methods(record):
        if method in (real.PLAIN, real.GUARDED):
            continue
        change = real.held_out_change(record, method)
        named = list(zip(record["objectives"], change, strict=True))
        up, down = ([n for n, c in named if f(c)] for f in (_raised, _lowered))
        told = " and ".join(
            f"{verb} {_listed(names)}"
            for verb, names in (("raises", up), ("lowers", down))
            if names
        )
        yield f"Held out, by 95 % intervals, `{method}` {told or 'changes no reward'}."


def _raised(found: Interval) -> bool:
    return found.low > 0


def _lowered(found: Interval) -> bool:
    return found.high < 0


def _far(runs: Sequence[real.Record]) -> str:
    return f"{np.mean([run['log_ratio_rms'] for run in runs]):.2f}"


def _decided(found: Interval) -> bool:
    return _raised(found) or _lowered(found)


def _interval(found: Interval) -> str:
    return f"{_signed(found.mean)} [{_signed(found.low)}, {_signed(found.high)}]"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _sign(value: float) -> str:
    return "+" if value > 0 else "−"


def _listed(values: Sequence[object]) -> str:
    words = list(map(str, values))
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _filled(text: str) -> str:
    return (
        fill(" ".join(text.split()), WIDTH, break_on_hyphens=False, break_long_words=False) + "\n"
    )


BLOCKS: Mapping[str, Callable[[real.Record], str]] = {
    "made": made,
    "held_out": held_out,
    "said": said,
    "measured": measured,
}
"""By their marks."""

if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
