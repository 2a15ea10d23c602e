"""What clipping does to the law, and how far its margin certifies the sign (T25–T27)."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.estimators.margin import RELATIVE_MARGIN
from covlaw.toys.measurements.clipped_bandits import ClippedBandits, drifted, effect, moved
from covlaw.toys.measurements.elites import elites

DRIFTS = tuple(2 ** (k / 2) for k in range(-1, 9))
"""Range of the logits' change since the policy that sampled, over the no-clip radius (T26)."""
CLIPS = (0.1, 0.2, 0.4)
"""Clip ranges, the same on either side."""
CORRELATIONS = (0.1, 0.3, 0.9)
"""Between objective and training score, in every prompt under the policy that sampled."""
CASES = 100
"""Inner steps a combination of drift, clip range and correlation."""
SHOWN = 8
"""Of them, whose place is recorded one by one."""

NICHE, FURTHEST = 0.125, 3.0
"""The search looks for the tightest cases in bands of x of this width, up to this x."""
SEARCHED_ARMS, SEARCHED_CLIP = 4, 0.2
LEAST_CORRELATION = 0.05
"""Of r and ρA in searched bandits: with less, the law is lost in rounding, and that is found."""
GENERATIONS = 150


def measure(seed: int = 0, quick: bool = False) -> list[dict[str, Any]]:
    """Place clipped inner steps by margin and effect: at random, and by a search for the worst.

    x is the mean margin bound over the |unclipped law|, y the clipped law over the unclipped one:
    T27 says |y − 1| ≤ x, so no sign turns (y < 0) where x < 1.

    Args:
        seed: Decides all cases.
        quick: A tenth of the cases and generations.

    Returns:
        `kind: "random"`: counts for a combination of `drift`, `clip` and `correlation` of `n`
        bandits (3 prompts × 5 completions), of which `clipped` any, `certified`, `turned`,
        `turned_certified` (0 if T27 holds), `outside` the cone (0 too), `step_turned` (the
        natural step itself, T25), and the `points` (x, y) of the first few that are clipped;
        `kind: "search"`: `x`, `y` and the instance of the tightest one-prompt bandits found, and
        (`niche: "first turn"`) of the turned sign with the least x. Finite, JSON-able.
    """
    cases, generations = (10, 15) if quick else (CASES, GENERATIONS)
    cells = enumerate(product(DRIFTS, CLIPS, CORRELATIONS))
    random = [
        {"kind": "random", "seed": seed, **_cell(np.random.default_rng([seed, k]), cases, *cell)}
        for k, cell in cells
    ]
    return random + list(_searched(np.random.default_rng([seed, len(random)]), generations))


def _cell(
    rng: np.random.Generator, cases: int, drift: float, clip: float, correlation: float
) -> dict[str, Any]:
    found = effect(drifted(rng, cases, drift, clip, correlation))
    clipped, turned = found.x > 0, found.y < 0
    counts = {
        "n": cases,
        "clipped": clipped,
        "certified": found.certified,
        "turned": turned,
        "turned_certified": turned & found.certified,
        "outside": found.outside,
        "step_turned": found.step < 0,
    }
    points = torch.stack([found.x, found.y], 1)[clipped][:SHOWN].tolist()
    return {
        **{"drift": round(drift, 4), "clip": clip, "correlation": correlation},
        **{name: int(torch.as_tensor(value).sum()) for name, value in counts.items()},
        "points": [[float(f"{value:.4g}") for value in point] for point in points],
    }


def _searched(rng: np.random.Generator, generations: int) -> Iterator[dict[str, Any]]:
    best = elites(_fitness, 4 * SEARCHED_ARMS, rng, generations)
    bandits = _decode(best.parameters)
    found = effect(bandits)
    for k in (best.fitness > -torch.inf).nonzero()[:, 0].tolist():
        yield {
            "kind": "search",
            "niche": "tight" if k < len(best.fitness) - 1 else "first turn",
            **{"x": float(found.x[k]), "y": float(found.y[k]), "clip": SEARCHED_CLIP},
            **{
                name: getattr(bandits, name)[k, 0].tolist()
                for name in ("policy", "log_ratio", "advantage", "reward")
            },
        }


def _fitness(parameters: Tensor) -> Tensor:
    """|y − 1|/x in each band of x below and above the law; 1/x where the sign is turned."""
    bandits = _decode(parameters)
    found = effect(bandits)
    starts = torch.arange(NICHE, FURTHEST, NICHE, dtype=torch.float64)[:, None]
    inside = (found.x > starts) & (found.x <= starts + NICHE)
    tight = [
        torch.where(inside & side, (found.y - 1).abs() / found.x, -torch.inf)
        for side in (found.y < 1, found.y > 1)
    ]
    turned = torch.where(found.y < -RELATIVE_MARGIN, 1 / found.x, -torch.inf)
    resolved = _correlation(bandits).abs() >= LEAST_CORRELATION
    return torch.where(resolved, torch.cat([*tight, turned[None]]), -torch.inf)


def _correlation(bandits: ClippedBandits) -> Tensor:
    """Of r and ρA in one-prompt bandits, (B,)."""
    mass = bandits.policy
    pair = bandits.reward, bandits.log_ratio.exp() * bandits.advantage
    r, signal = (v - (mass * v).sum(2, keepdim=True) for v in pair)
    scale = (mass * r.square()).sum(2) * (mass * signal.square()).sum(2)
    return ((mass * r * signal).sum(2) / scale.sqrt())[:, 0]


def _decode(parameters: Tensor) -> ClippedBandits:
    """One-prompt bandits: logits, their change, score and reward of each arm."""
    logits, change, score, reward = parameters.reshape(-1, 4, 1, SEARCHED_ARMS).unbind(1)
    policy = logits.softmax(2)
    advantage = score - (policy * score).sum(2, keepdim=True)
    return moved(policy, change, advantage, reward, (SEARCHED_CLIP, SEARCHED_CLIP, None))
