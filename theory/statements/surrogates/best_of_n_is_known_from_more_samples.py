"""T57: order statistics of K ≥ n samples give the best of n without bias; tilts by weights.

E[Σ_i C(i−1, n−1)/C(K, n) r_(i)] = E[r of the best of n draws by s], ties averaged.
"""

from itertools import product

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.best_of_n import best_of_n
from covlaw.theory.estimators.frontier import frontier
from covlaw.theory.statements._support.restricted_worlds import on_few_completions
from covlaw.theory.statements.base import NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.worlds.world import World

ARMS, SAMPLES = 3, 4
"""Completions of the small prompt, and samples K: all 81 batches are enumerated."""


def sides(world: World, rng: np.random.Generator) -> Sides:
    """The mean over all batches against all n-tuples; a sample that is its own policy."""
    small = on_few_completions(world, rng, prompts=1, completions=ARMS)
    weights = _weights(small, rng)
    parts = [_best(small, weights, n) for n in range(1, SAMPLES + 1)]
    return joined([*parts, _tilt(small, weights, rng)])


def of_the_whole_batch(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the best of all K samples, as if it were that of n."""
    small = on_few_completions(world, rng, prompts=1, completions=ARMS)
    weights = _weights(small, rng)
    return joined([_best(small, weights, n, SAMPLES) for n in range(1, SAMPLES)])


def with_replacement(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: n-tuples of the samples with replacement, (i/K)^n − ((i−1)/K)^n."""
    small = on_few_completions(world, rng, prompts=1, completions=ARMS)
    weights = _weights(small, rng)
    return joined([_plugged_in(small, weights, n) for n in range(2, SAMPLES + 1)])


def _weights(world: World, rng: np.random.Generator) -> Tensor:
    return torch.as_tensor(rng.exponential(size=world.rewards.shape[1]))


def _best(world: World, weights: Tensor, n: int, used: int | None = None) -> Part:
    rows, chance = _batches(world, SAMPLES)
    prompt = torch.arange(len(rows)).repeat_interleave(SAMPLES)
    score = world.rewards @ weights
    picked, by = world.rewards[rows.reshape(-1)], score[rows.reshape(-1)]
    found = best_of_n(picked, by, prompt, used or n, chance / chance.sum())
    return found.estimate, _enumerated(world, score, n), _error(world)


def _plugged_in(world: World, weights: Tensor, n: int) -> Part:
    """Mean over batches of the best of n draws from the batch, with replacement."""
    rows, chance = _batches(world, SAMPLES)
    score = (world.rewards @ weights)[rows]
    above = (score[:, None, :] <= score[:, :, None]).double().mean(2)
    below = (score[:, None, :] < score[:, :, None]).double().mean(2)
    share = (above**n - below**n) / ((above - below) * SAMPLES)
    means = (share[:, :, None] * world.rewards[rows]).sum(1)
    return (
        chance @ means / chance.sum(),
        _enumerated(world, world.rewards @ weights, n),
        _error(world),
    )


def _enumerated(world: World, score: Tensor, n: int) -> Tensor:
    """E[r of the best of n draws], every n-tuple in turn, equal scores sharing: (M,)."""
    rows, chance = _batches(world, n)
    total = np.zeros(world.rewards.shape[1])
    for tuple_, weight in zip(rows.tolist(), (chance / chance.sum()).tolist(), strict=True):
        top = max(float(score[y]) for y in tuple_)
        best = [y for y in tuple_ if float(score[y]) == top]
        total += weight * world.rewards[best].numpy().mean(0)
    return torch.as_tensor(total)


def _batches(world: World, size: int) -> tuple[Tensor, Tensor]:
    """Every ordered sample of so many completions, (B, size), and its probability (B,)."""
    rows = torch.tensor(list(product(range(len(world.prompt)), repeat=size)))
    return rows, world.log_prob_at().exp()[rows].prod(1)


def _tilt(world: World, weights: Tensor, rng: np.random.Generator) -> Part:
    """Samples in a policy's exact proportions: their tilt is the policy's, by plain sums."""
    counts = rng.integers(8, 14, size=len(world.prompt))
    rows = torch.as_tensor(np.repeat(np.arange(len(counts)), counts))
    width = float((world.rewards @ weights).abs().max())
    strength = 0.5 / width if width > 0 else 1.0
    picked = world.rewards[rows]
    found = frontier(picked, torch.zeros(len(rows), dtype=torch.long), weights, [strength])
    rewards = world.rewards.numpy()
    mass = counts * np.exp(strength * (rewards @ weights.numpy()))
    return found.values[0], torch.as_tensor(mass @ rewards / mass.sum()), _error(world)


def _error(world: World) -> Tensor:
    """Sums over ARMS^K batches of K rewards, weights of up to K quotients."""
    size = world.rewards.abs().amax(0)
    return rounding(size, 4 * ARMS**SAMPLES + 16 * SAMPLES + world.depth + 32)


STATEMENT = Statement(
    id="T57",
    title="The best of n is known without bias from any more samples, and tilts by reweighting",
    kind="identity",
    explanation="Of K completions of a prompt, ordered by a score, the i-th smallest is the best "
    "of C(i−1, n−1) of the C(K, n) subsets of n. Weighted by that share, the completions' rewards "
    "estimate what choosing the best of n would give, without bias for every n up to K; equal "
    "scores share their ranks. The rewards at the end of a tilt come from the same samples, "
    "weighted by e^{Λ·r}, with a bias of the order of 1/K that vanishes where the sample has the "
    "policy's own proportions; below four effective completions a prompt it says nothing.",
    formula="E[Σ_i C(i−1, n−1)/C(K, n) r_(i)] = E[r of the best of n by s];"
    " J_j(Λ) ≈ E_x Σ_k r_jk e^{Λ·r_k} / Σ_k e^{Λ·r_k}",
    latex=r"\mathbb E\Big[\sum_i\tfrac{\binom{i-1}{n-1}}{\binom Kn}r_{(i)}\Big]=\mathbb E[r\text{ "
    r"of the best of }n];\quad J_j(\Lambda)\approx\mathbb E_x\frac{\sum_k r_{jk}e^{\Lambda\cdot "
    r"r_k}}{\sum_k e^{\Lambda\cdot r_k}}",
    assumptions=("independent completions of a prompt", "K ≥ n"),
    source="ours; the subsets as in pass@k: Chen et al. 2021, arXiv:2107.03374",
    needs=World,
    sides=sides,
    control=NegativeControl("the best of all K as that of n", of_the_whole_batch),
    nearer=(NegativeControl("n draws from the batch with replacement", with_replacement),),
    not_applicable={
        "llm": "an LLM's batches cannot be enumerated; docs/inspect.md uses both estimates there"
    },
)
