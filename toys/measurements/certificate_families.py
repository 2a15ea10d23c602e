"""Families of samples with a known truth, on which certificates and intervals are tried."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from torch import Tensor

Array = NDArray[np.float64]
RARE = (0.002, 0.02, 0.1, 0.5)
"""Probabilities of a reward of 1."""
TILTED = (0.02, 0.5)
"""Those of them that are tried with a truth other than 0 as well."""
TILT = 0.3
"""Correlation of a reward's latent with the log-ratio or the score."""


class Shape(NamedTuple):
    """Batches of so many prompts and completions a prompt."""

    batches: int
    prompts: int
    completions: int


class Draws(NamedTuple):
    """Samples of many batches; rows run over batches, prompts, completions."""

    rewards: Tensor
    """(B·P·K, M)."""
    signal: Tensor
    """(B·P·K,): ρ − 1, or a score, or nothing that is read."""


class Family(NamedTuple):
    """A law of rewards and a signal."""

    rewards: tuple[str, ...]
    """What tells the M rewards apart."""
    truth: Array
    """(M,) covariance with the signal, or change."""
    draw: Callable[[np.random.Generator, Shape], Draws]


class Kind(NamedTuple):
    """One kind of completion: its probability, reward and signal."""

    chance: float
    reward: float
    signal: float


def ratio_families() -> Mapping[str, Family]:
    """Rewards with importance ratios of mean 1."""
    found = {f"lognormal, sd of log {s:g}": lognormal_ratio(s) for s in (0.1, 0.5, 1.5)}
    found |= {f"Pareto, index {a:g}": pareto_ratio(a) for a in (1.5, 2.5)}
    found |= {f"prompts apart by {t:g}": opposed_prompts(0.5, t) for t in (0.6, 0.95)}
    for noise in (0.0, 0.05):
        for name, seen in HIDDEN.items():
            found[f"{name}, noise {noise:g}"] = kinds(_of_mean_one(seen), noise, ratio=True)
    return found


def score_families() -> Mapping[str, Family]:
    """Rewards with a training signal of which no mean is known."""
    return {
        "normal score": normal_score(),
        "rare score": kinds([Kind(0.02, 0, 1), Kind(0.3, 1, 0), Kind(0.68, 0, 0)], 0.0, False),
        "corner": kinds(CORNER, 0.05, ratio=False),
    }


HIDDEN: Mapping[str, Sequence[tuple[float, float, float | None]]] = {
    "rare rise against a common fall": ((0.002, 1, 5), (0.5, 1, 0.99), (0.498, 0, None)),
    "rarer rise": ((0.0005, 1, 20), (0.5, 1, 0.99), (0.4995, 0, None)),
    "rare rise of a rare reward": ((0.002, 1, 5), (0.1, 1, 0.9), (0.898, 0, None)),
    "rare among rare": ((0.002, 1, 3.8), (0.018, 1, 0.8), (0.98, 0, None)),
    "rare extinction": ((0.003, 1, 0), (0.1, 1, 1.027), (0.897, 0, None)),
}
"""Probability, reward, ratio; a rare kind turns the sign of what the common ones show. The last
ratio makes the mean 1."""
CORNER = (Kind(0.004, 1, 3), Kind(0.004, 0, 3), Kind(0.492, 1, 0), Kind(0.5, 0, 0.04))


def lognormal_ratio(sd: float) -> Family:
    """Log ρ normal; a reward is 1 where a latent of correlation 0 or ±TILT with it is large.

    Under π_new the normal z has mean `sd`, so that the latent has mean correlation × sd.
    """
    rules = _rules(TILT)
    truth = [float(norm.cdf(k * sd + norm.ppf(p))) - p if k else 0.0 for p, k in rules]

    def draw(rng: np.random.Generator, shape: Shape) -> Draws:
        z, rewards = _latent(rng, shape, rules)
        return Draws(rewards, torch.expm1(sd * z - sd**2 / 2))

    return Family(tuple(_name(*rule) for rule in rules), np.array(truth), draw)


def pareto_ratio(index: float) -> Family:
    """ρ = (a − 1)/a·U^(−1/a); P(r = 1 | U) = p(1 + b(1 − 2U)): the change is pb/(2a − 1)."""
    rules = _rules(0.5)
    truth = [p * b / (2 * index - 1) for p, b in rules]

    def draw(rng: np.random.Generator, shape: Shape) -> Draws:
        size = shape.batches * shape.prompts * shape.completions
        u = 1 - rng.random(size)
        columns = [rng.random(size) < p * (1 + b * (1 - 2 * u)) for p, b in rules]
        rewards = torch.as_tensor(np.stack(columns, 1)).to(torch.float64)
        return Draws(rewards, torch.as_tensor((index - 1) / index * u ** (-1 / index) - 1))

    return Family(tuple(_name(*rule) for rule in rules), np.array(truth), draw)


def opposed_prompts(sd: float, tilt: float) -> Family:
    """Half of the prompts gain what the others lose: the mean change is 0."""

    def draw(rng: np.random.Generator, shape: Shape) -> Draws:
        sign = rng.choice([-1.0, 1.0], shape.batches * shape.prompts)
        z, e = (torch.as_tensor(x) for x in rng.standard_normal((2, _rows(shape))))
        own = torch.as_tensor(sign).repeat_interleave(shape.completions) * tilt
        rewards = (own * z + (1 - tilt**2) ** 0.5 * e > 0).to(torch.float64)[:, None]
        return Draws(rewards, torch.expm1(sd * z - sd**2 / 2))

    return Family((f"reward 0.5, tilts ±{tilt:g}",), np.zeros(1), draw)


def normal_score() -> Family:
    """A normal score; rewards as in `lognormal_ratio`: the covariance is k·φ(Φ⁻¹(1 − p))."""
    rules = _rules(TILT)
    truth = [k * float(norm.pdf(norm.ppf(p))) for p, k in rules]

    def draw(rng: np.random.Generator, shape: Shape) -> Draws:
        z, rewards = _latent(rng, shape, rules)
        return Draws(rewards, z)

    return Family(tuple(_name(*rule) for rule in rules), np.array(truth), draw)


def kinds(listed: Sequence[Kind], noise: float, ratio: bool) -> Family:
    """Completions of few kinds; noise multiplies a ratio by a lognormal of mean 1, or is added."""
    chance, reward, signal = (np.array(x, dtype=np.float64) for x in zip(*listed, strict=True))
    truth = chance @ (reward * signal) - (chance @ reward) * (chance @ signal)

    def draw(rng: np.random.Generator, shape: Shape) -> Draws:
        kind = np.searchsorted(chance.cumsum()[:-1], rng.random(_rows(shape)), side="right")
        z = noise * rng.standard_normal(_rows(shape))
        seen = (signal[kind] + 1) * np.exp(z - noise**2 / 2) - 1 if ratio else signal[kind] + z
        return Draws(torch.as_tensor(reward[kind])[:, None], torch.as_tensor(seen))

    return Family(("reward",), np.array([truth]), draw)


def paired_changes() -> Family:
    """Pairs of completions under common random numbers, few of which differ: truth d(2u − 1)."""
    rules = [(d, u) for d in (0.002, 0.02, 0.2) for u in (0.5, 0.9)]
    truth = [d * (2 * u - 1) for d, u in rules]

    def draw(rng: np.random.Generator, shape: Shape) -> Draws:
        uniform = rng.random((_rows(shape), len(rules)))
        d, u = np.array(rules).T
        change = np.where(uniform < d, np.where(uniform < d * u, 1.0, -1.0), 0.0)
        return Draws(torch.as_tensor(change), torch.zeros(len(change), dtype=torch.float64))

    names = tuple(f"{d:g} of pairs differ, {u:g} upwards" for d, u in rules)
    return Family(names, np.array(truth), draw)


def _rules(tilt: float) -> list[tuple[float, float]]:
    """Probability and tilt of the rewards."""
    return [*((p, 0.0) for p in RARE), *((p, k) for p in TILTED for k in (tilt, -tilt))]


def _latent(
    rng: np.random.Generator, shape: Shape, rules: Sequence[tuple[float, float]]
) -> tuple[Tensor, Tensor]:
    z = rng.standard_normal(_rows(shape))
    columns = [
        k * z + (1 - k**2) ** 0.5 * rng.standard_normal(len(z)) > norm.isf(p) for p, k in rules
    ]
    return torch.as_tensor(z), torch.as_tensor(np.stack(columns, 1)).to(torch.float64)


def _rows(shape: Shape) -> int:
    return shape.batches * shape.prompts * shape.completions


def _of_mean_one(listed: Sequence[tuple[float, float, float | None]]) -> list[Kind]:
    """Solve for the ratio left open, and subtract 1 from all."""
    known = sum(c * ratio for c, _, ratio in listed if ratio is not None)
    free = next(c for c, _, ratio in listed if ratio is None)
    return [Kind(c, r, (1 - known) / free - 1 if q is None else q - 1) for c, r, q in listed]


def _name(chance: float, tilt: float) -> str:
    return f"reward {chance:g}, tilt {tilt:g}"
