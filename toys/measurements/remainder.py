"""How far the law's straight line is from a tilt's change, and where its sign turns (T5, T6)."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.statements._support.adversaries import EXTREMAL_MASS
from covlaw.toys.measurements.elites import elites
from covlaw.toys.measurements.tilted_bandits import (
    TiltedBandits,
    curvature,
    drawn,
    first_turn,
    turn_constant,
    turning,
)

REACHES = tuple(float(x) for x in np.logspace(-3, 2, 21))
"""Strengths of tilts: ranges of η·s."""
PROMPTS = (1, 3)
CASES = 600
"""Random bandits a number of prompts."""
SHOWN = 150
"""Turned signs of a number of prompts, whose places are recorded one by one."""
QUANTILES = (0.05, 0.5, 0.95, 1.0)

REMAINDER = "remainder"
SHAPES = {REMAINDER: (1, 3), "turn of one prompt": (1, 3), "turn of several prompts": (2, 2)}
"""(prompts, completions) of searched bandits: the smallest that attain the constants."""
GENERATIONS = 120


def measure(seed: int = 0, quick: bool = False) -> list[dict[str, Any]]:
    """Measure remainders and first turns of the sign: of random bandits, and by search.

    Args:
        seed: Decides all cases.
        quick: A tenth of the cases and generations.

    Returns:
        Records of four kinds. `random remainder`: of `n` bandits tilted by `reach` (the largest
        range of η·s), quantiles of |Δ − ηC| over its bound of T5, and the number `over` it.
        `extremal`: the same ratio of the Bernoulli score that attains the bound, tilted up and
        down. `random turn`: of `n` bandits, how many signs have `turned` at a reach below 100,
        the `earliest` constant η·E[R S²]/|C|, how many are `below` the `bound` of T6, and the
        (reach, constant) of the first few. `search`: the worst bandits found, by `what` was
        searched, with their instance; Δ is 0 in those of a turn. Finite, JSON-able.
    """
    cases, generations = (60, 30) if quick else (CASES, GENERATIONS)
    records: list[dict[str, Any]] = []
    for prompts in PROMPTS:
        bandits = drawn(np.random.default_rng([seed, prompts]), cases, prompts)
        head = {"seed": seed, "prompts": prompts, "n": cases}
        records += [head | record for record in _remainders(bandits)]
        records.append(head | _turns(bandits))
    records += _extremal()
    for k, kind in enumerate(SHAPES):
        records += _search(kind, np.random.default_rng([seed, 10 + k]), generations)
    return records


def _remainders(bandits: TiltedBandits) -> Iterator[dict[str, Any]]:
    for reach in REACHES:
        ratio = curvature(bandits.reaching(torch.tensor(reach))).of_bound
        quantiles = torch.quantile(ratio, torch.tensor(QUANTILES, dtype=ratio.dtype)).tolist()
        yield {
            "kind": "random remainder",
            "reach": reach,
            "quantiles": dict(zip(map(str, QUANTILES), quantiles, strict=True)),
            "over": int((ratio > 1).sum()),
        }


def _turns(bandits: TiltedBandits) -> dict[str, Any]:
    turned, reach = first_turn(bandits)
    constant = curvature(bandits.reaching(reach)).constant[turned]
    places = torch.stack([reach[turned], constant], 1)
    bound = turn_constant(bandits.policy.shape[1])
    return {
        "kind": "random turn",
        "bound": bound,
        "turned": int(turned.sum()),
        "below": int((constant < bound).sum()),
        "earliest": float(constant.min()) if len(constant) else None,
        "points": [[float(f"{x:.4g}") for x in place] for place in places[:SHOWN].tolist()],
    }


def _extremal() -> Iterator[dict[str, Any]]:
    """The Bernoulli score with p = (3 − √3)/6, which is its own reward, tilted up and down."""
    indicator = torch.tensor([[[0.0, 1.0]]], dtype=torch.float64)
    policy = torch.tensor([[[1 - EXTREMAL_MASS, EXTREMAL_MASS]]], dtype=torch.float64)
    for reach in REACHES:
        ratios = [
            float(curvature(TiltedBandits(policy, sign * reach * indicator, indicator)).of_bound)
            for sign in (1, -1)
        ]
        yield {"kind": "extremal", "reach": reach, "up": ratios[0], "down": ratios[1]}


def _search(kind: str, rng: np.random.Generator, generations: int) -> Iterator[dict[str, Any]]:
    prompts, arms = SHAPES[kind]
    best = elites(
        lambda parameters: _fitness(kind, parameters), 3 * prompts * arms + 1, rng, generations
    )
    bandits = _decode(kind, best.parameters)
    found = curvature(bandits)
    reach = _reach(best.parameters)
    for k in (best.fitness > -torch.inf).nonzero()[:, 0].tolist():
        yield {
            "kind": "search",
            "what": kind,
            "reach": float(reach[k]),
            "of_bound": float(found.of_bound[k]),
            "constant": float(found.constant[k]),
            **{name: value[k].tolist() for name, value in bandits._asdict().items()},
        }


def _fitness(kind: str, parameters: Tensor) -> Tensor:
    """|Δ − ηC| over its bound, or the inverse of the constant at which Δ = 0, in each niche."""
    found, reach = curvature(_decode(kind, parameters)), _reach(parameters)
    value = found.of_bound if kind == REMAINDER else 1 / found.constant
    edges = torch.tensor(REACHES, dtype=torch.float64)[:, None]
    inside = (reach > edges[:-1]) & (reach <= edges[1:])
    return torch.where(inside, value, -torch.inf)


def _reach(parameters: Tensor) -> Tensor:
    """Between 10⁻³ and 10², by the last parameter."""
    return 10 ** (5 * parameters[:, -1].sigmoid() - 3)


def _decode(kind: str, parameters: Tensor) -> TiltedBandits:
    prompts, arms = SHAPES[kind]
    logits, score, reward = parameters[:, :-1].reshape(-1, 3, prompts, arms).unbind(1)
    bandits = TiltedBandits(logits.softmax(2), score, reward).reaching(_reach(parameters))
    return bandits if kind == REMAINDER else turning(bandits)
