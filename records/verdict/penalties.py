"""What penalties did to each objective over a run's audits, in words."""

from collections.abc import Iterator, Sequence

import numpy as np

from covlaw.records.constants import CLEAR
from covlaw.records.ladder import Audit, array

WORDS = {
    "penalty": "the KL and entropy terms of the loss, in one step to first order:",
    "kl_objective": "the KL alone, forecast per unit of the tilt along the signal:",
}
"""Field of an audit's record -> what it is; docs/audits.md has both."""


def penalty_words(name: str, objectives: Sequence[str], made: Sequence[Audit]) -> list[str]:
    """One line a penalty of a run: the mean over its audits and whom it lowers or raises.

    Audits are of different steps, so that their errors are independent.
    """
    found = list[str]()
    for field, words in WORDS.items():
        rows = [audit for audit in made if field in audit.record]
        if rows:
            found.append(f"{name}: {words} {'; '.join(_effects(rows, field, objectives))}")
    return found


def _effects(rows: list[Audit], field: str, objectives: Sequence[str]) -> Iterator[str]:
    values, errors = (
        np.array([array(audit.record[field][key]) for audit in rows]) for key in ("estimate", "se")
    )
    mean, error = values.mean(0), np.sqrt(np.square(errors).sum(0)) / len(rows)
    for name, value, se in zip(objectives, mean, error, strict=True):
        clear = abs(value) > CLEAR * se
        verb = "no clear effect on" if not clear else "lowers" if value < 0 else "raises"
        yield f"{verb} {name} ({value:+.4f} ± {se:.4f})"
