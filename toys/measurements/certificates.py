"""How often certificates and intervals are wrong, and how often they decide (T21)."""

import zlib
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import torch
from scipy.stats import beta
from torch import Tensor

from covlaw.theory._numerics.weighting import Grouping, mean_and_error, weighting
from covlaw.theory.estimators.covariance import Drawn
from covlaw.theory.estimators.intervals import (
    Limits,
    Push,
    deviations,
    known_where,
    one_sided,
    push,
    ratio_limits,
    signal_limits,
)
from covlaw.theory.estimators.prompt_means import PromptMeans
from covlaw.theory.estimators.sign_certificate import NOMINAL, trusted
from covlaw.toys.measurements.certificate_families import (
    Draws,
    Family,
    Shape,
    paired_changes,
    ratio_families,
    score_families,
)

SHAPES = tuple(product((4, 8, 16, 32, 64), (2, 4, 8, 16)))
"""Prompts and completions a prompt."""
QUICK_SHAPES = ((4, 4), (32, 4))
BATCHES, QUICK_BATCHES = 1500, 200
TAIL = 0.025
"""On each side of a nominal 95 % interval."""
OLD = 3.0
"""Standard errors of the plain rule that is shown for comparison."""


def measure(seed: int = 0, quick: bool = False) -> list[dict[str, Any]]:
    """Draw batches from known laws; count wrong certificates and intervals that miss the truth.

    Args:
        seed: Of all batches.
        quick: Fewer and smaller batches.

    Returns:
        A record for each quantity ("exact_change", "law", "measured"), family, reward, prompts and
        completions: `truth`, `n` batches, `certified`, those with the `wrong` sign (of a true
        zero: either), `covered` by
        the nominal 95 % interval, `unbounded` intervals (counted as covered), `plain_wrong` and
        `plain_covered` of 3 and 1.96 standard errors clustered by prompt, and `width`, the median
        half-width of the finite intervals (null if none). Changes are not certified: null.
    """
    shapes = QUICK_SHAPES if quick else SHAPES
    batches = QUICK_BATCHES if quick else BATCHES
    grids = (
        ("exact_change", ratio_families()),
        ("law", score_families()),
        ("measured", {"pairs": paired_changes()}),
    )
    return [
        record
        for kind, families in grids
        for name, family in families.items()
        for prompts, completions in shapes
        for record in _cell(kind, name, family, Shape(batches, prompts, completions), seed)
    ]


def _cell(
    kind: str, name: str, family: Family, shape: Shape, seed: int
) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng([seed, zlib.crc32(f"{kind} {name}".encode()), *shape])
    judged = JUDGES[kind](family.draw(rng, shape), shape)
    truth = torch.as_tensor(family.truth)
    limits, plain, error = judged["limits"], judged["estimate"], judged["error"]
    covered = (limits.low <= truth) & (truth <= limits.high)
    decided = judged["certified"]
    wrong = decided & (limits.low.sign() * truth.sign() <= 0) if decided is not None else None
    rejected = plain.abs() > OLD * error
    plain_wrong = rejected & (plain.sign() * truth.sign() <= 0)
    plain_covered = (plain - truth).abs() <= 1.959964 * error
    width = (limits.high - limits.low) / 2
    for j, reward in enumerate(family.rewards):
        finite = width[:, j][torch.isfinite(width[:, j])]
        missed = None if wrong is None else int(wrong[:, j].sum())
        yield {
            "quantity": kind,
            "family": name,
            "reward": reward,
            "truth": _digits(float(truth[j])),
            "prompts": shape.prompts,
            "completions": shape.completions,
            "n": shape.batches,
            "certified": None if decided is None else int(decided[:, j].sum()),
            "wrong": missed,
            "plain_wrong": int(plain_wrong[:, j].sum()),
            "covered": int(covered[:, j].sum()),
            "unbounded": shape.batches - len(finite),
            "plain_covered": int(plain_covered[:, j].sum()),
            "width": _digits(float(finite.median())) if len(finite) else None,
        }


def above(count: int, n: int) -> float:
    """Clopper–Pearson: 97.5 % upper bound on a probability of which `count` of n were seen."""
    return float(beta.ppf(1 - 0.05 / 2, count + 1, n - count)) if count < n else 1.0


def _exact_change(drawn: Draws, shape: Shape) -> dict[str, Any]:
    own = _drawn(drawn, shape, ratio=True)
    least, most = _extremes(drawn.rewards, shape)
    rows = torch.arange(shape.batches).repeat_interleave(shape.prompts * shape.completions)
    three = (*one_sided(own, least[rows], most[rows]), deviations(own)[0])
    above, below, products = (m.batch(shape.batches) for m in three)
    means = PromptMeans.of(own.signal[:, None], own.weights).batch(shape.batches)
    certain = ratio_limits(above, below, products, NOMINAL).decided & (most > least)
    certain &= trusted(means.estimate(), means.error())
    limits = known_where(most > least, ratio_limits(above, below, products, TAIL))
    return _judged(own, shape, limits, certain)


def _law(drawn: Draws, shape: Shape) -> dict[str, Any]:
    own = _drawn(drawn, shape, ratio=False)
    products, reward, signal = deviations(own)
    size = (shape.batches, -1, reward.shape[1])
    unseen = push(reward.reshape(size), signal.reshape(shape.batches, -1, 1))
    batch = products.batch(shape.batches)
    limits, strict = (
        known_where(unseen.up > 0, signal_limits(batch, unseen, tail)) for tail in (TAIL, NOMINAL)
    )
    return _judged(own, shape, limits, strict.decided)


def _measured(drawn: Draws, shape: Shape) -> dict[str, Any]:
    own = _drawn(drawn, shape, ratio=False)
    pairs = PromptMeans.of(own.values, own.weights).batch(shape.batches)
    whole = torch.ones(shape.batches, own.values.shape[1], dtype=torch.float64)
    limits = known_where(whole > 0, signal_limits(pairs, Push(whole, whole), TAIL))
    estimate, error = mean_and_error(pairs.mean, pairs.weight)
    return {"limits": limits, "certified": None, "estimate": estimate, "error": error}


JUDGES = {"exact_change": _exact_change, "law": _law, "measured": _measured}


def _drawn(drawn: Draws, shape: Shape, ratio: bool) -> Drawn:
    prompt = torch.arange(shape.batches * shape.prompts).repeat_interleave(shape.completions)
    return Drawn(drawn.rewards, drawn.signal, weighting(Grouping(prompt)), ratio)


def _extremes(rewards: Tensor, shape: Shape) -> tuple[Tensor, Tensor]:
    by_batch = rewards.reshape(shape.batches, -1, rewards.shape[1])
    return by_batch.amin(1), by_batch.amax(1)


def _judged(own: Drawn, shape: Shape, limits: Limits, certain: Tensor) -> dict[str, Any]:
    products = deviations(own)[0].batch(shape.batches)
    estimate, error = mean_and_error(products.mean, products.weight)
    return {"limits": limits, "certified": certain, "estimate": estimate, "error": error}


def _digits(value: float) -> float:
    return float(f"{value:.4g}")
