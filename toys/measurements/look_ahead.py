"""Where the frontier of the start says that weights lead, against where runs went (T56, T57)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from covlaw.theory.tilts.equal_kl import tilt_to
from covlaw.toys.study.algorithms import Setting, find_algorithm
from covlaw.toys.study.arms import Arm
from covlaw.toys.study.engine import Course, train_ensemble
from covlaw.toys.study.ensemble import PolicyEnsemble
from covlaw.toys.study.frontier import room, start_of
from covlaw.toys.study.supply import snapshot
from covlaw.toys.study.worlds import find_optimiser, find_world

WORLDS = (
    ("bandit_natural", "sgd-.05", 2),
    ("bandit", "sgd-1", 2),
    ("tabular", "adamw-.1", 4),
    ("transformer", "adamw-.01", 1),
)
"""World, optimiser and seeds a cell."""
ARMS = (
    ("linear", "none"),
    ("ctwa-guided", "none"),
    ("covariance_mgda", "none"),
    ("linear", "guard"),
)
SIGNAL, CLIP = "raw", "off"
"""Under which natural-gradient steps are tilts."""
SHOWN = ("transformer", 1, 0)
"""World, cell and seed whose paths are recorded, with its arms."""
POINTS = 16
"""Of a frontier in the record."""


def measure(
    seed: int = 0, quick: bool = False, worlds: Sequence[tuple[str, str, int]] = WORLDS
) -> list[dict[str, Any]]:
    """Compare the frontier along equal weights, at the KL of each run's end, with that end.

    Args:
        seed: First seed of the drawn worlds.
        quick: One seed of the first two cells a world.
        worlds: World, optimiser and seeds a cell.

    Returns:
        A record a run: `world`, `optimiser`, `cell`, `seed`, `algorithm`, `guard`, `kl` of the end,
        `room` (by how much all rewards could be higher at this KL), and in shares of each reward's
        attainable range `change` (what happened), `ahead` (the frontier at equal KL along equal
        weights) and `law` (the bare law, extended as a line to that KL); `gain` and `gain_ahead`,
        the same of the equally weighted sum. Then, with `path`, one world's courses and frontier.
    """
    records: list[dict[str, Any]] = []
    for name, optimiser, seeds in worlds:
        world = find_world(name)
        cells = list(range(len(world.cells)))[: 2 if quick else None]
        for cell in cells:
            seeds_here = [seed + k for k in range(1 if quick else seeds)]
            drawn = world.build(world.cells[cell], seeds_here)
            rows = torch.arange(len(seeds_here)).repeat(len(ARMS))
            ensemble = replace(drawn.rows(rows), optimiser=find_optimiser(optimiser))
            course = train_ensemble(ensemble, _arms(ensemble), world.steps, world.inner)
            for k, row in enumerate(_compared(ensemble, course)):
                arm, which = divmod(k, len(seeds_here))
                head = {"world": name, "optimiser": optimiser, "cell": cell}
                head |= {"algorithm": ARMS[arm][0], "guard": ARMS[arm][1]}
                head |= {"seed": seeds_here[which]}
                if not course.errors[k]:
                    records.append(head | row)
                if (name, cell, which) == SHOWN:
                    records.append(head | _path(ensemble, course, k))
    return records


def _arms(ensemble: PolicyEnsemble) -> list[Arm]:
    starts = snapshot(ensemble, ensemble.theta).values.tolist()
    each = len(starts) // len(ARMS)
    arms = []
    for k, start in enumerate(starts):
        algorithm, guard = ARMS[k // each]
        scalarizer = find_algorithm(algorithm).make(Setting(ensemble.names, SIGNAL, start))
        arms.append(Arm(scalarizer, SIGNAL, CLIP, guard))
    return arms


def _compared(ensemble: PolicyEnsemble, course: Course) -> list[dict[str, Any]]:
    begun = start_of(ensemble)
    floor, ceiling = ensemble.attainable
    size = torch.where(ceiling > floor, ceiling - floor, 1.0)
    start, end, kl = course.values[0], course.values[-1], course.divergence[-1]
    equal = torch.ones_like(start)
    ahead = tilt_to(*begun, equal, kl)
    law = _line(*begun, equal, kl)
    columns = {
        "kl": kl,
        "room": room(ensemble, begun, end, kl),
        "change": (end - start) / size,
        "ahead": (ahead.values - start) / size,
        "law": law / size,
        "gain": (end - start).sum(1),
        "gain_ahead": (ahead.values - start).sum(1),
    }
    plain = {name: _rounded(values) for name, values in columns.items()}
    rows = zip(*plain.values(), strict=True)
    return [dict(zip(plain, row, strict=True)) for row in rows]


def _line(rewards: Tensor, mass: Tensor, prompt: Tensor, weights: Tensor, kl: Tensor) -> Tensor:
    """s·Cov(r_j, λ·r) with s of KL = s²·Var(λ·r)/2: the law's straight line to a KL, (R, M)."""
    centred = rewards - (mass[..., None] * rewards).sum(2, keepdim=True)
    score = (centred * weights[:, None, None]).sum(-1)
    share = prompt[:, None] * mass
    variance = (share * score.square()).sum((1, 2))
    strength = (2 * kl / torch.where(variance > 0, variance, 1.0)).sqrt()
    return strength[:, None] * ((share * score)[..., None] * centred).sum((1, 2))


def _path(ensemble: PolicyEnsemble, course: Course, k: int) -> dict[str, Any]:
    """One policy's course, and the frontier along equal weights up to its largest KL."""
    rewards, mass, prompt = start_of(ensemble)
    rewards, mass = rewards[k : k + 1], mass[k : k + 1]
    end = float(course.divergence[:, k].max())
    kls = torch.linspace(0, 1, POINTS, dtype=torch.float64).square() * end
    equal = torch.ones(1, rewards.shape[-1], dtype=torch.float64)
    points = [tilt_to(rewards, mass, prompt, equal, kl[None]) for kl in kls]
    return {
        "path": True,
        "objectives": list(ensemble.names),
        "run_kl": _rounded(course.divergence[:, k]),
        "run": _rounded(course.values[:, k]),
        "frontier_kl": _rounded(torch.cat([p.kl for p in points])),
        "frontier": _rounded(torch.cat([p.values for p in points])),
    }


def _rounded(values: Tensor) -> Any:
    """Seven digits: a record is read, not continued."""
    flat = [float(f"{value:.7g}") for value in values.flatten().tolist()]
    return torch.tensor(flat, dtype=torch.float64).reshape(values.shape).tolist()
