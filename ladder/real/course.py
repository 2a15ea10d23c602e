"""How a run went, step by step, from its own folder: small enough to be kept."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from covlaw.records.guard_weights import weight_shares
from covlaw.records.runs import STEPS, TIMING, read_lines

AUDITED = ("law", "first_order", "exact_change", "measured")
"""Of each audit: the law along the signal, the forecast along the step, the exact form, and what
fresh samples of both policies measured."""


def course(run: Path) -> dict[str, Any]:
    """Curves, audits and the guard's part of a finished run.

    `reward_mean` (T, M) of the batches; `moved` (T,), each update's mean |log-ratio| on its own
    batch; `seconds` of all steps together.
    """
    steps = list(read_lines(run / STEPS))
    return {
        "steps": len(steps),
        "seconds": round(sum(line["seconds"] for line in read_lines(run / TIMING)), 1),
        "reward_mean": [step["reward_mean"] for step in steps],
        "moved": [step["moved"]["log_ratio"] if step.get("moved") else None for step in steps],
        "audits": [_audit(step["step"], audit) for step in steps for audit in step["audits"]],
        "guard": _guard(steps),
    }


def _audit(step: int, audit: Mapping[str, Any]) -> dict[str, Any]:
    """An audit's forecasts and what was measured, with its limits and its certificate."""
    found: dict[str, Any] = {"step": step, "certified": audit.get("certified")}
    found |= {name: audit[name] for name in ("n_prompts", "n_completions")}
    return found | {name: audit[name] for name in AUDITED}


def _guard(steps: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """What the guard did; None where there is none.

    `shares` (T, M): each objective's share of the weights μ, 0 in a step that needed no correction.
    Over the run's steps the means of: these, `share`; `before` and `after`, first-order effects of
    the optimiser's step and of the one that was made, seen on the rows that chose it; `changed`,
    the length of the correction over that of the step.
    """
    told = [step["guard"] for step in steps if step.get("guard")]
    if not told:
        return None
    shares = weight_shares([guard["weights"] for guard in told])
    found: dict[str, Any] = {"shares": shares.tolist(), "share": shares.mean(0).tolist()}
    for name in ("before", "after"):
        seen = [guard[name] for guard in told if guard.get(name)]
        found[name] = np.mean(seen, 0).tolist() if seen else None
    changed = [guard["changed"] for guard in told if guard.get("changed") is not None]
    return found | {"changed": sum(changed) / max(len(changed), 1)}
