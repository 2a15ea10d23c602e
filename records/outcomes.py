"""How a ladder's verdicts are counted: rung by rung, and by how a claim was seen to hold."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from covlaw.theory.worlds.rungs import ALL_RUNGS

OUTCOMES = {
    "exact": "holds exactly",
    "sampled": "holds on samples",
    "estimator": "identity of the estimator",
    "refuted": "refuted",
    "inconclusive": "inconclusive",
    "not_applicable": "not applicable",
}
"""Outcome → in words. In enumerated worlds a claim holds exactly; on samples it holds within their
errors; where both sides are the same sample's algebra it says how the estimator is built, and
nothing about the policy: those are counted apart."""


def outcome(verdict: Mapping[str, Any]) -> str:
    """A key of `OUTCOMES`; records made before verdicts said how they were judged go by rung."""
    if verdict["status"] != "holds":
        return str(verdict["status"])
    return str(verdict.get("judged") or ("sampled" if verdict.get("rung") == "llm" else "exact"))


def by_rung(verdicts: Iterable[Mapping[str, Any]]) -> dict[str, Counter[str]]:
    """Rung → outcome → how many statements; from theory up, rungs of plug-ins after ours."""
    counts: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        counts.setdefault(verdict["rung"], Counter())[outcome(verdict)] += 1
    order = [*ALL_RUNGS, *sorted(set(counts) - set(ALL_RUNGS))]
    return {rung: counts[rung] for rung in order if rung in counts}
