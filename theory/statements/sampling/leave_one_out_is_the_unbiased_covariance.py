"""T20: the leave-one-out advantage (RLOO) shows exactly the unbiased sample covariance.

(1/K) Σ_k r_k (s_k − mean_{l≠k} s_l) = 1/(K−1) Σ_k (r_k − r̄)(s_k − s̄), for every batch.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.advantages import NORMALISERS, Normaliser, centred
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.statements._support.batches import from_an_own_completion
from covlaw.theory.statements.base import NegativeControl, Proof, Sides, Statement
from covlaw.theory.worlds.updates import Update

SIZES = (2, 3, 5, 8, 16)
"""Completions a batch, where the policy is enumerated and batches can be drawn."""


def sides(update: Update, rng: np.random.Generator) -> Sides:
    """Mean of r_j times the RLOO advantage of s, and Ĉ_j, in each batch.

    Sampled rollouts come in batches; of enumerated ones, batches are drawn (any will do).
    """
    return _compare(update, rng, NORMALISERS["rloo"])


def own_mean_sides(update: Update, rng: np.random.Generator) -> Sides:
    """The false variant: a completion's own score is in the mean taken off (Dr. GRPO)."""
    return _compare(update, rng, centred)


def _compare(update: Update, rng: np.random.Generator, normaliser: Normaliser) -> Sides:
    rewards, score, prompt = _batches(update, rng)
    groups = group_by_prompt(prompt)
    advantage = normaliser(score, groups)
    shown = groups.sum(rewards * advantage[:, None]) / groups.counts[:, None]
    estimate = within_prompt_covariance(rewards, score, prompt).per_prompt
    scale = rewards.abs().amax(0) * score.abs().max()
    error = rounding(scale, 32 * (int(groups.counts.max()) + 8))
    return Sides(shown.reshape(-1), estimate.reshape(-1), error.expand_as(shown).reshape(-1))


def _batches(update: Update, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Rewards (B, M), scores (B,) and batch ids (B,), measured from a completion of the batch."""
    rollouts, score, prompt = update.rollouts, update.fields.score, update.rollouts.prompt
    rewards = rollouts.rewards
    if rollouts.exact:
        own = [(prompt == x).nonzero()[:, 0].numpy() for x in prompt.unique()]
        batches = [rng.choice(rows, size=k) for rows in own for k in SIZES]
        row = torch.as_tensor(np.concatenate(batches))
        prompt = torch.arange(len(batches)).repeat_interleave(
            torch.tensor([len(batch) for batch in batches])
        )
        rewards, score = rewards[row], score[row]
    shifted = from_an_own_completion(torch.cat([rewards, score[:, None]], 1), prompt)
    return shifted[:, :-1], shifted[:, -1], prompt


@cache
def proofs() -> list[Proof]:
    """K = 2, 3, 4 from the definition, and any K in terms of the three sums that enter."""
    from covlaw.theory.statements.sampling import _symbolic_sampling as symbolic

    own = [Proof(f"K = {k}: RLOO − Ĉ = 0", symbolic.leave_one_out_residual(k)) for k in (2, 3, 4)]
    return [*own, Proof("any K: RLOO − Ĉ = 0", symbolic.leave_one_out_any_size())]


STATEMENT = Statement(
    id="T20",
    title="The leave-one-out advantage shows exactly the unbiased sample covariance",
    explanation="RLOO trains on each completion's score s_k minus the mean score of the other K − 1"
    " completions of the same prompt. The mean product of a reward r with that advantage is the"
    " sample covariance of r and s with the divisor K − 1, batch by batch and not only on average."
    " So an RLOO batch is an unbiased reading of the covariance law, while taking off the mean of"
    " all K scores (Dr. GRPO) reads low by the factor (K − 1)/K.",
    kind="identity",
    formula="(1/K) Σ_k r_k (s_k − mean_{l≠k} s_l) = Σ_k (r_k − r̄)(s_k − s̄) / (K − 1)",
    latex=r"\frac1K\sum_k r_k\Big(s_k-\frac1{K-1}\sum_{l\neq k}s_l\Big)"
    r"=\frac1{K-1}\sum_k(r_k-\bar r)(s_k-\bar s)",
    assumptions=("K ≥ 2 completions a prompt",),
    source="known (Kool et al. 2019; Ahmadian et al. 2024, RLOO); the identity: ours",
    needs=Update,
    sides=sides,
    control=NegativeControl("the mean of all K scores is taken off", own_mean_sides),
    proofs=proofs,
)
