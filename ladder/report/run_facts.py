"""What the page of a run says beside its audits: the guard's work, the model, evaluations."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from covlaw.ladder.report.filters import signed
from covlaw.records.findings import counted
from covlaw.records.guard_weights import weight_shares
from covlaw.records.ladder import LlmRun
from covlaw.records.lines import read_records
from covlaw.records.runs import EVALUATIONS, TIMING

MODEL_KEYS = ("model", "task", "task_path", "algorithm", "loss", "dtype", "device", "engine")


def guard_facts(run: LlmRun) -> dict[str, Any] | None:
    """How often the guard turned a step, how far, and for whom; None where none was on."""
    steps = [step["guard"] for step in run.steps if step.get("guard")]
    if not steps:
        return None
    turned = [step for step in steps if step["factor"] > 0 and any(step["weights"])]
    return {
        "steps": len(steps),
        "turned": len(turned),
        "refused": sum(bool(step["refused"]) for step in steps),
        "shortened": sum(step.get("own", 1.0) < 1 for step in steps),
        "changed": float(np.mean([s.get("changed") or 0.0 for s in turned])) if turned else None,
        "shares": weight_shares([s["weights"] for s in turned]).mean(0).tolist() if turned else [],
        "rows": [_guarded(run, j, steps) for j in range(len(run.objectives))],
    }


def _guarded(run: LlmRun, j: int, steps: list[dict[str, Any]]) -> tuple[str, int, float, float]:
    """Of an objective: steps that defended it, and the mean forecasts before and after them."""
    own = [s for s in steps if s["factor"] > 0 and s["weights"][j] > 0]
    kept = [s for s in own if s.get("before") and s.get("after")]
    before, after = (
        float(np.mean([s[side][j] for s in kept])) if kept else float("nan")
        for side in ("before", "after")
    )
    return run.objectives[j], len(own), before, after


def guard_words(runs: Sequence[LlmRun]) -> str:
    """A sentence a guarded run: how many steps it turned, for whom, and what that changed."""
    told = ((run, facts) for run in runs if (facts := guard_facts(run)))
    return " ".join(_turned(run, facts) for run, facts in told)


def _turned(run: LlmRun, facts: dict[str, Any]) -> str:
    begun = f"{run.name}: it turned {facts['turned']} of {counted(facts['steps'], 'step')}"
    if not facts["turned"]:
        return f"{begun}."
    shares = facts["shares"]
    first = max(range(len(shares)), key=lambda j: float(shares[j]))
    name, _, before, after = facts["rows"][first]
    return (
        f"{begun}, by {100 * facts['changed']:.0f} % of their length, most of all for {name} "
        f"({100 * shares[first]:.0f} % of the weights; where it was defended, a step's effect on "
        f"it went from {signed(before)} to {signed(after)}, to first order)."
    )


def model_facts(folder: Path, run: LlmRun) -> list[tuple[str, str]]:
    """What was trained, on what, and what it took: what is recorded of it."""
    facts = [
        (key.replace("_", " "), str(run.config[key])) for key in MODEL_KEYS if run.config.get(key)
    ]
    tokens = [step["tokens"] for step in run.steps if step.get("tokens")]
    if tokens:
        facts.append(("tokens sampled", f"{sum(tokens):,}"))
    seconds = [line["seconds"] for line in read_records(folder / TIMING)]
    if seconds:
        facts.append(("time", f"{sum(seconds):,.0f} s, {np.median(seconds):.1f} s a step"))
    return facts


def evaluations(folder: Path) -> list[dict[str, Any]]:
    """Evaluations on the way; [] where there were none."""
    return [
        line | {"cells": list(zip(line["reward_mean"], line["reward_se"], strict=True))}
        for line in read_records(folder / EVALUATIONS)
    ]
