"""T62: a Gramian of sampled gradients is biased, off the diagonal too; crossed halves are not.

E[ĝ_j'Pĝ_k] = G_jk + tr(P Cov(ĝ_j, ĝ_k)), and with the same K completions for all objectives
tr(P Cov) = (E[A_jA_k|s|²] − G_jk)/K + (C_jk E|s|² + G_jk)/(K(K−1)) a prompt, |s|² = s'Ps.
"""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.guard.gramian import sampled_gramian_bias
from covlaw.theory.statements.base import NegativeControl, Sides, Statement, joined
from covlaw.theory.statements.guard._sampled_gradients import (
    COMPLETIONS,
    SampledPrompt,
    sampled_prompts,
)
from covlaw.theory.worlds.world import World

NO_LISTING = "an LLM's batches cannot be listed, and its expected Gramian is not known"


def sides(world: World, rng: np.random.Generator) -> Sides:
    """E of the plain Gramian over all batches against G + bias; of the crossed one against G."""
    prompts, metric = _drawn(world, rng)
    truth, doubt = _truth(prompts, metric), _rounding(prompts, metric)
    bias = sum((_bias(prompt, metric) for prompt in prompts), torch.zeros_like(truth))
    expected = torch.cat([(truth + bias).reshape(-1), truth.reshape(-1)])
    measured = torch.cat([_plain(prompts, metric).reshape(-1), _crossed(prompts, metric)])
    return joined([(measured, expected, doubt.repeat(2))])


def uncrossed_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the plain Gramian of one batch taken for an unbiased estimate."""
    prompts, metric = _drawn(world, rng)
    truth = _truth(prompts, metric).reshape(-1)
    return joined([(_plain(prompts, metric).reshape(-1), truth, _rounding(prompts, metric))])


def diagonal_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: noise of different objectives is independent, the bias diagonal."""
    prompts, metric = _drawn(world, rng)
    bias = torch.stack([_bias(prompt, metric) for prompt in prompts]).sum(0).diagonal().diag()
    expected = (_truth(prompts, metric) + bias).reshape(-1)
    return joined([(_plain(prompts, metric).reshape(-1), expected, _rounding(prompts, metric))])


def _drawn(world: World, rng: np.random.Generator) -> tuple[list[SampledPrompt], Tensor]:
    prompts = sampled_prompts(world, rng)
    size = prompts[0].scores.shape[1]
    return prompts, torch.as_tensor(10 ** rng.uniform(-1, 1, size=size))


def _truth(prompts: list[SampledPrompt], metric: Tensor) -> Tensor:
    """G_jk of the mean over prompts."""
    mean = torch.stack([prompt.share * prompt.gradients() for prompt in prompts]).sum(0)
    return (mean * metric) @ mean.T


def _bias(prompt: SampledPrompt, metric: Tensor) -> Tensor:
    gradients = prompt.gradients()
    gram, squares = (gradients * metric) @ gradients.T, prompt.scores.square() @ metric
    own = sampled_gramian_bias(prompt.rewards, prompt.mass, squares, gram, COMPLETIONS)
    return prompt.share**2 * own


def _plain(prompts: list[SampledPrompt], metric: Tensor) -> Tensor:
    """E[ĝ_j'Pĝ_k] of ĝ = Σ_x D(x)ĝ_x, prompts independent: (M, M)."""
    first, second = [], []
    for prompt in prompts:
        probability, estimates = prompt.batches()
        products = (estimates * metric) @ estimates.mT
        first.append(prompt.share * torch.einsum("b,bmd->md", probability, estimates))
        second.append(prompt.share**2 * torch.einsum("b,bmn->mn", probability, products))
    total = torch.stack(first).sum(0)
    own = sum((g * metric) @ g.T for g in first)
    return (total * metric) @ total.T - own + torch.stack(second).sum(0)


def _crossed(prompts: list[SampledPrompt], metric: Tensor) -> Tensor:
    """E[ĝ_j^A'Pĝ_k^B] over all pairs of independent batches, one prompt at a time: (M²,)."""
    parts = []
    for prompt in prompts:
        probability, estimates = prompt.batches()
        products = torch.einsum("amd,d,bnd->abmn", estimates, metric, estimates)
        both = probability[:, None] * probability
        parts.append(prompt.share**2 * torch.einsum("ab,abmn->mn", both, products))
    between = sum(
        x.share * y.share * (x.gradients() * metric) @ y.gradients().T
        for x in prompts
        for y in prompts
        if x is not y
    )
    return (torch.stack(parts).sum(0) + between).reshape(-1)


def _rounding(prompts: list[SampledPrompt], metric: Tensor) -> Tensor:
    """γ·(4 max|r_j|·max|r_k|)·max|s|²: (M²,); sums over batches, pairs of them and D."""
    rewards = torch.stack([prompt.rewards.abs().amax(0) for prompt in prompts]).amax(0)
    steepest = max(float((prompt.scores.square() @ metric).max()) for prompt in prompts)
    batches = max(len(prompt.mass) for prompt in prompts) ** COMPLETIONS
    operations = 8 * (batches**2 + len(metric) + 64)
    return rounding(4 * rewards.outer(rewards).reshape(-1) * steepest, operations)


STATEMENT = Statement(
    id="T62",
    title="Gramians of sampled gradients are biased, off the diagonal too; two halves cure it",
    explanation="Gradients from samples are the true ones plus noise, and the noise does not"
    " average out of their inner products: each objective's squared norm gains the variance of its"
    " estimate, summed over all parameters. In a large model that is most of it, so that MGDA on"
    " samples weighs objectives by the inverse of their noise, and a guard corrects too little."
    " Where all objectives are measured on the same completions, as always in practice, products"
    " of different objectives are biased as well, by E[A_jA_k|∇log π|²]/K: rewards in conflict look"
    " more so than they are. Gradients from one half of the completions, multiplied by those from"
    " the other half, have neither bias; but the matrix they give need not be positive.",
    kind="identity",
    formula="E[ĝ_j'Pĝ_k] = G_jk + (E[A_jA_k|s|²] − G_jk)/K + (C_jk E|s|² + G_jk)/(K(K−1)) a prompt;"
    " E[ĝ_j^A'Pĝ_k^B] = G_jk",
    latex=r"\mathbb{E}[\hat g_j'P\hat g_k]=G_{jk}+\tfrac1K(\mathbb{E}[A_jA_k|s|^2]-G_{jk})"
    r"+\tfrac{C_{jk}\mathbb{E}|s|^2+G_{jk}}{K(K-1)},\quad "
    r"\mathbb{E}[\hat g_j^{A\prime}P\hat g_k^{B}]=G_{jk}",
    assumptions=(
        "K independent completions a prompt, the same for all objectives; K − 1 estimate",
        "halves A and B independent; prompts fixed, of share D(x): bias × D(x)²",
    ),
    source="ours",
    needs=World,
    sides=sides,
    control=NegativeControl("the plain Gramian taken for unbiased", uncrossed_sides),
    nearer=(NegativeControl("a bias on the diagonal alone", diagonal_sides),),
    not_applicable={"llm": NO_LISTING},
)
