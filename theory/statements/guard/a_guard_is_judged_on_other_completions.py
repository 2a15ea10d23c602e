"""T63: on the completions that chose its weights a guarded step looks safer than it is.

E[ĝ_j·u*] − E[g_j·u*] = E Σ_k μ_k tr(P Cov(ĝ_j, ĝ_k)) to first order in the noise a parameter;
on completions that had no part in choosing μ the difference is 0.
"""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.solvers.least_change import guard_weights
from covlaw.theory.statements.base import NegativeControl, Sides, Statement, joined
from covlaw.theory.statements.guard._sampled_gradients import SampledPrompt, sampled_prompts
from covlaw.theory.worlds.world import World

NO_LISTING = "an LLM's batches cannot be listed, and its true effects are not known"


def sides(world: World, rng: np.random.Generator) -> Sides:
    """E[ĝ_j^B·u*(A)] over all pairs of batches against E[g_j·u*(A)]."""
    prompt, probability, estimates, moved = _guarded(world, rng)
    seen = torch.einsum("a,b,bmd,ad->m", probability, probability, estimates, moved)
    return _against_truth(prompt, probability, moved, seen)


def own_samples_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: judged on the very completions that chose the weights."""
    prompt, probability, estimates, moved = _guarded(world, rng)
    seen = torch.einsum("a,amd,ad->m", probability, estimates, moved)
    return _against_truth(prompt, probability, moved, seen)


def _guarded(
    world: World, rng: np.random.Generator
) -> tuple[SampledPrompt, Tensor, Tensor, Tensor]:
    """A prompt, its batches' probabilities and gradients, and the step each of them guards."""
    prompt = max(sampled_prompts(world, rng), key=lambda p: (len(p.mass), p.share))
    probability, estimates = prompt.batches()
    size = prompt.scores.shape[1]
    step = torch.as_tensor(rng.normal(size=size)) / size**0.5
    pull = torch.as_tensor(rng.uniform(0, 2, size=len(prompt.rewards.T)))
    step = step - pull @ prompt.gradients()  # something to correct
    weights = guard_weights(estimates @ estimates.mT, estimates @ step)
    return prompt, probability, estimates, step + torch.einsum("am,amd->ad", weights, estimates)


def _against_truth(
    prompt: SampledPrompt, probability: Tensor, moved: Tensor, seen: Tensor
) -> Sides:
    truth = torch.einsum("a,md,ad->m", probability, prompt.gradients(), moved)
    steepest, longest = prompt.scores.norm(dim=1).max(), moved.norm(dim=1).max()
    scale = 4 * prompt.rewards.abs().amax(0) * steepest * longest
    operations = 8 * (len(probability) ** 2 + moved.shape[1] + 64)
    return joined([(seen, truth, rounding(scale, operations))])


def optimism(size: int, draws: int = 2000, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Measured E[(ĝ_j − g_j)·u*], its standard error, and E Σ_k μ_k tr Cov(ĝ_j, ĝ_k): (2,) each.

    Two gradients in `size` dimensions with Gaussian noise as long as they are, correlated.
    """
    rng = np.random.default_rng(seed)
    true = torch.as_tensor(rng.normal(size=(2, size)) / size**0.5)
    step = -(true[0] + 0.6 * true[1])
    covariance = torch.tensor([[1.0, 0.5], [0.5, 0.6]]).double()
    factor = torch.linalg.cholesky(covariance / size)
    noise = factor @ torch.as_tensor(rng.normal(size=(draws, 2, size)))
    drawn = true + noise
    weights = guard_weights(drawn @ drawn.mT, drawn @ step)
    moved = step + (weights[..., None] * drawn).sum(1)
    seen = (noise * moved[:, None]).sum(-1)
    return seen.mean(0), seen.std(0) / draws**0.5, (weights @ covariance).mean(0)


def remarks() -> list[str]:
    """How good the first-order formula is as the model grows."""
    lines = []
    for size in (20, 80, 320):
        seen, error, formula = optimism(size)
        lines.append(
            f"D = {size}: optimism {seen[0]:.4f} ± {error[0]:.4f}, E Σ μ_k tr Cov {formula[0]:.4f}"
        )
    return lines


STATEMENT = Statement(
    id="T63",
    title="A guarded step looks safe on the completions that chose it; others tell the truth",
    explanation="A guard on samples lifts every objective's estimated effect to its floor, by"
    " adding those very estimates. Part of what it adds is their noise, which lines up with itself:"
    " on the same samples each effect looks better than it is, by the weights times the variances"
    " of the gradient estimates. Completions that had no part in choosing the weights show no such"
    " optimism. So a corrected step is to be judged on other completions, and a training run that"
    " reports its guard's effects on the guard's own samples reports what it wanted to see.",
    kind="identity",
    formula="E[ĝ_j^B·u*(A)] = E[g_j·u*(A)];"
    " E[ĝ_j^A·u*(A)] − E[g_j·u*(A)] ≈ E Σ_k μ_k tr(P Cov(ĝ_j, ĝ_k))",
    latex=r"\mathbb{E}[\hat g_j^B\cdot u^*(A)]=\mathbb{E}[g_j\cdot u^*(A)],\quad "
    r"\mathbb{E}[(\hat g_j^A-g_j)\cdot u^*(A)]\approx\mathbb{E}\sum_k\mu_k"
    r"\mathrm{tr}(P\,\mathrm{Cov}(\hat g_j,\hat g_k))",
    assumptions=("the step u does not depend on A or B", "A and B independent"),
    source="ours",
    needs=World,
    sides=sides,
    control=NegativeControl("judged on the samples that chose the weights", own_samples_sides),
    not_applicable={"llm": NO_LISTING},
    remarks=remarks,
)
