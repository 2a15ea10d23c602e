"""CTWA's phase portrait: reachable targets, paths, and where it runs away (T33–T38)."""

from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.dynamics.ctwa_dynamics import Controller, ControllerState, ctwa_path
from covlaw.theory.dynamics.ctwa_signals import SIGNALS
from covlaw.theory.estimators.headroom import slack_rate
from covlaw.theory.estimators.prompt_covariances import PromptCovariances
from covlaw.toys.measurements.ctwa_ensemble import ensemble

COVARIANCES = (((1.3, 0.5), (0.5, 0.7)), ((0.7, -0.1), (-0.1, 1.3)))
MEANS = ((2.0, -2.0), (-2.0, 2.0))
"""Two equiprobable prompts: where one objective is easy the other is hard."""
TARGETS = {"inside": (0.75, 0.35), "outside": (0.95, 0.75)}
STEP = 0.05
STEPS = 1500
SLACK = 1e-3
"""Share of a target that may be missing: raw weights attain theirs only in the limit (T33)."""
STARTS = 40
SHOWN = {"inside": (3, 12, 37), "outside": (3,)}
"""Of the starts: those whose paths are recorded, by target."""
TOTAL = 0.4
"""Σλ at the start; only the raw signal sees it."""


def measure(seed: int = 0, quick: bool = False) -> list[dict[str, Any]]:
    """Follow CTWA on one problem of two objectives under each signal, and on random problems.

    Args:
        seed: Of the random problems.
        quick: Fewer frontier points, updates and random problems.

    Returns:
        Records by `kind`: `frontier` (y(λ) of a signal over all shares of the second weight, and
        the turn Δu_2 − Δu_1 of an update there towards each target), `starts` (how many reach a
        target), `path` (y and u over the updates from one start, with the certified growth of
        μ·u, Σμ = 1, where the target is infeasible), `ensemble`. JSON-able.
    """
    steps = 40 if quick else STEPS
    records: list[dict[str, Any]] = []
    for signal in SIGNALS:
        records.append(frontier(signal, 11 if quick else 61))
        for target in TARGETS:
            records += _runs(signal, target, steps)
    return records + ensemble(seed, quick)


def problem(count: int) -> PromptCovariances:
    """The portrait's problem, `count` times."""
    matrices, means = (torch.tensor(x, dtype=torch.float64) for x in (COVARIANCES, MEANS))
    return PromptCovariances(
        matrices.expand(count, -1, -1, -1),
        torch.full((count, 2), 0.5, dtype=torch.float64),
        means.expand(count, -1, -1),
        torch.zeros(count, 2, 2, dtype=torch.float64),
    )


def frontier(signal: str, points: int) -> dict[str, Any]:
    """Record y(λ) over the shares of the second weight, and where an update turns it."""
    share = torch.linspace(0, 1, points, dtype=torch.float64)
    start = TOTAL * torch.stack([1 - share, share], 1)
    record = {"kind": "frontier", "signal": signal, "share": share.tolist()}
    record["y"] = (SIGNALS[signal](problem(points), start)).tolist()
    for target in TARGETS:
        first, second = _states(signal, target, start.log(), 2)
        moved = second.log_weights[1:-1] - first.log_weights[1:-1]  # at the ends u is infinite
        record[f"turn_{target}"] = [None, *(moved[:, 1] - moved[:, 0]).tolist(), None]
    return record


def _runs(signal: str, target: str, steps: int) -> list[dict[str, Any]]:
    share = (torch.arange(STARTS, dtype=torch.float64) + 0.5) / STARTS
    start = (TOTAL * torch.stack([1 - share, share], 1)).log()
    states = _states(signal, target, start, steps + 1)
    goal = torch.tensor(TARGETS[target], dtype=torch.float64) * (1 - SLACK)
    reached = (states[-1].signal >= goal).all(1)
    what = {"signal": signal, "target": target, "goal": TARGETS[target]}
    counts = {"n": STARTS, "reached": int(reached.sum()), "steps": steps}
    paths = [
        {"kind": "path", **what, "share": float(share[k]), "reached": bool(reached[k])}
        | _path(states, k)
        | _growth(signal, target, start[k])
        for k in SHOWN[target]
    ]
    return [{"kind": "starts", **what, **counts}, *paths]


def _states(signal: str, target: str, start: Tensor, count: int) -> list[ControllerState]:
    goal = torch.tensor(TARGETS[target], dtype=torch.float64).expand_as(start)
    path = ctwa_path(problem(len(start)), goal, start, Controller(signal, STEP))
    return list(islice(path, count))


def _path(states: list[ControllerState], row: int) -> dict[str, Any]:
    """One start's states, thinned to times of equal ratio."""
    times = np.unique(np.geomspace(1, len(states), 22).astype(int)) - 1
    return {
        "step": times.tolist(),
        "y": [states[t].signal[row].tolist() for t in times],
        "log_weights": [states[t].log_weights[row].tolist() for t in times],
    }


def _growth(signal: str, target: str, start: Tensor) -> dict[str, Any]:
    """A floor of Σμ·u, at first and per update, by T37's bundle; None where it certifies none."""
    if signal in ("raw", "whitened"):  # nothing is infeasible; T37 does not apply
        return {"floor": None}
    seen = problem(1) if signal == "grpo" else problem(1).pooled()
    found = slack_rate(seen, torch.tensor([TARGETS[target]], dtype=torch.float64))
    if float(found.factor) >= 0:
        return {"floor": None}
    return {"floor": [float(found.bundle[0] @ start), -STEP * float(found.factor)]}
