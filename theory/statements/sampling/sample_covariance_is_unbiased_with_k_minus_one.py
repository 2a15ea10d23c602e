"""T19: from K samples a prompt, dividing by K − 1 gives the covariance without bias; K does not.

E[1/(K−1)·Σ(r_k − r̄)(s_k − s̄)] = Cov(r, s); the plug-in 1/K is low by the factor (K−1)/K.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.statements._support.enumeration import enumerated_covariance
from covlaw.theory.statements._support.inapplicable import NO_EXACT_COVARIANCE_IN_AN_LLM
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.statements._support.restricted_worlds import on_few_completions
from covlaw.theory.statements.base import NegativeControl, Proof, Sides, Statement
from covlaw.theory.worlds.world import World


def expected_estimate(world: World, score: Tensor, samples: int) -> tuple[Tensor, int]:
    """Expectation of the estimator over every possible batch of K completions a prompt: (M,).

    One estimator call in which every K-tuple of completions is a prompt of its own, weighted by
    D(x)·Π_k π(y_k|x). Also returns how many tuples there are.
    """
    weight, mass = world.row_weight().numpy(), world.log_prob_at().exp().numpy()
    rows, probability = [], []
    for x in np.unique(world.prompt.numpy()):
        own = np.flatnonzero(world.prompt.numpy() == x)
        tuples = own[np.indices((len(own),) * samples).reshape(samples, -1).T]
        rows.append(tuples)
        probability.append(weight[tuples[:, 0]] * mass[tuples[:, 1:]].prod(1))
    batches = torch.as_tensor(np.concatenate(rows))
    drawn, prompt = batches.reshape(-1), torch.arange(len(batches)).repeat_interleave(samples)
    outer = torch.as_tensor(np.concatenate(probability))
    expectation = within_prompt_covariance(
        world.rewards[drawn], score[drawn], prompt, None, outer
    ).estimate
    return expectation, len(batches)


def sides(world: World, rng: np.random.Generator) -> Sides:
    """The estimator's exact expectation at a random K of 2, 3, 4, and the covariance by moments.

    On worlds of many completions: given that the completion is one of six, for three prompts.
    """
    return _compare(world, rng, plug_in=False)


def plug_in_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: dividing by K."""
    return _compare(world, rng, plug_in=True)


def _compare(world: World, rng: np.random.Generator, plug_in: bool) -> Sides:
    few, samples = on_few_completions(world, rng), int(rng.integers(2, 5))
    score = random_score(few, rng)
    expectation, tuples = expected_estimate(few, score, samples)
    scale = few.rewards.abs().amax(0) * score.abs().max()
    # a tuple's estimate: 32(K + 8) as in any covariance; its probability; the sum over tuples
    error = rounding(scale, 32 * (samples + 8 + few.prompt.shape[0]) + 4 * tuples)
    shrink = (samples - 1) / samples if plug_in else 1.0
    return Sides(shrink * expectation, enumerated_covariance(few, few.rewards, score), error)


@cache
def proofs() -> list[Proof]:
    """K = 2, 3, 4 and any K, any distribution."""
    from covlaw.theory.statements.sampling import _symbolic_sampling as symbolic

    own = [Proof(f"K = {k}: E Ĉ − Cov(r, s) = 0", symbolic.bias_residual(k)) for k in (2, 3, 4)]
    return [*own, Proof("any K: E Ĉ − Cov(r, s) = 0", symbolic.bias_residual_any_size())]


STATEMENT = Statement(
    id="T19",
    title="The sample covariance of K completions is unbiased with the divisor K − 1",
    explanation="Ĉ estimates the covariance of a reward r and a score s from K completions of one"
    " prompt. Dividing the sum of products by K − 1 makes it right on average;"
    " dividing by K makes it too small by the factor (K − 1)/K, a quarter at K = 4. A"
    " controller such as CTWA that compares estimates with targets must use K − 1, or"
    " it chases targets that are effectively higher.",
    kind="identity",
    formula="E[Σ_k (r_k − r̄)(s_k − s̄) / (K − 1)] = Cov_x(r, s)",
    latex=r"\mathbb{E}\,\frac{1}{K-1}\sum_{k=1}^{K}(r_k-\bar r)(s_k-\bar s)"
    r" = \mathrm{Cov}_x(r, s)",
    assumptions=("completions i.i.d. given the prompt", "K ≥ 2"),
    source="known (Bessel's correction)",
    needs=World,
    sides=sides,
    control=NegativeControl("the plug-in divisor K", plug_in_sides),
    not_applicable={"llm": NO_EXACT_COVARIANCE_IN_AN_LLM},
    proofs=proofs,
)
