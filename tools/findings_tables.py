"""Write the marked blocks of docs/findings.md from the records: from the source tree only.

`python tools/findings_tables.py`, after a ladder or a study was recorded.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from covlaw.figures._drawing.render import recorded
from covlaw.records.constants import BASELINE, PREDICTION_WORDS, SHOWN_PREDICTIONS
from covlaw.records.ladder import verdict_file
from covlaw.records.lines import read_records
from covlaw.records.outcomes import OUTCOMES, by_rung
from covlaw.records.parsing import read_json
from covlaw.records.schema.kinds import anything
from covlaw.records.verdict.verdict import run_verdict

PAGE = Path(__file__).parents[1] / "docs" / "findings.md"
BLOCK = re.compile(r"<!-- (\w+) -->\n.*?<!-- /\1 -->", re.DOTALL)


def page(text: str) -> str:
    """Replace what stands between the marks."""
    return BLOCK.sub(
        lambda found: f"<!-- {found[1]} -->\n{block(found[1])}<!-- /{found[1]} -->", text
    )


def block(name: str) -> str:
    """One block's lines."""
    return BLOCKS[name]()


def ladder() -> str:
    """Statements by rung and outcome."""
    verdicts = verdict_file(recorded())["verdicts"]
    rows = [
        [f"`{rung}`", *(str(counts[key] or "–") for key in OUTCOMES)]
        for rung, counts in by_rung(verdicts).items()
    ]
    unclear = [f"{v['id']} on `{v['rung']}`" for v in verdicts if v["status"] == "inconclusive"]
    line = f"{sum(v['n'] for v in verdicts):,} comparisons of both sides. "
    line += f"Inconclusive: {', '.join(unclear) or 'none'}.\n"
    return _table(("statements", *OUTCOMES.values()), rows) + "\n" + line


def falls() -> str:
    """What announced the ladder's falls, and how many steps ahead of the reward curve."""
    verdict = run_verdict(sorted((recorded() / "llm").iterdir()))
    names = [n for n in (*SHOWN_PREDICTIONS, BASELINE) if n != "own_batch"]
    rows = [
        [f"{fall.run}, {fall.objective}", str(fall.step), *_leads(fall.lead, names)]
        for fall in verdict.falls
    ]
    rows.append(["median standard error", "", *(_short(verdict.precision[n]) for n in names)])
    return _table(("fall", "shows at step", *(PREDICTION_WORDS[n] for n in names)), rows)


def study() -> str:
    """The study's verdict of RL runs."""
    found = read_json(recorded("study-llm") / "verdict.json", anything)
    rows = [_study_row(found, name) for name in SHOWN_PREDICTIONS]
    head = ("prediction of a step", "sign right", "of certified signs", "slope (95 %)")
    more = ("alarms: confirmed, undecided, false", "clear falls announced")
    return _table((*head, *more), rows)


def _study_row(found: Mapping[str, Any], name: str) -> list[str]:
    signs, slope = (found["agreement"]["1"][name][key] for key in ("signs", "slope"))
    alarms = found["alarms"][name]
    given = ", ".join(str(alarms[key]) for key in ("confirmed", "undecided", "false"))
    return [
        PREDICTION_WORDS[name],
        f"{signs['agree']} of {signs['of']}",
        f"{signs['agree_certified']} of {signs['certified']}",
        f"{slope['value']:.2f} ({slope['low']:.2f} to {slope['high']:.2f})",
        f"{alarms['alarms']}: {given}",
        f"{alarms['falls'] - alarms['missed']} of {alarms['falls']}",
    ]


def bases() -> str:
    """Where the study's RL runs began and ended, by base model and algorithm."""
    rows = [r for r in read_records(recorded("study-llm") / "runs.jsonl") if r["error"] is None]
    names = list(dict.fromkeys(row["base"] for row in rows))
    lines = [["first steps", *(_means(r["start"] for r in rows if r["base"] == n) for n in names)]]
    for algorithm in dict.fromkeys(row["algorithm"] for row in rows):
        own = [[r for r in rows if (r["base"], r["algorithm"]) == (n, algorithm)] for n in names]
        lines.append([algorithm, *map(_ends, own)])
    return _table(("", *(f"`{name}`" for name in names)), lines)


def _ends(runs: Sequence[Mapping[str, Any]]) -> str:
    lost = sum(any(run["sacrificed"]) for run in runs)
    return f"{_means(run['end'] for run in runs)}, {lost} of {len(runs)}"


def _means(values: Iterable[Sequence[float]]) -> str:
    return " / ".join(f"{mean:.2f}" for mean in np.mean(list(values), 0))


def _leads(lead: Mapping[str, int | None], names: Iterable[str]) -> list[str]:
    return ["no" if lead[n] is None else f"{lead[n]} ahead" for n in names]


def _short(value: float) -> str:
    return f"{value:.4f}".removeprefix("0")


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    lines = [names, ["---"] * len(names), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


BLOCKS: Mapping[str, Callable[[], str]] = {
    "ladder": ladder,
    "falls": falls,
    "study": study,
    "bases": bases,
}

if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
