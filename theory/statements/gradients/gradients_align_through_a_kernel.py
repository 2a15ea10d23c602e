"""T11: plain policy gradients align through the kernel of the scores, not by the covariance.

⟨∇J_j, ∇J_s⟩ = E_{x,x'} E[A_j K A_s], K = ⟨∇log π(y|x), ∇log π(y'|x')⟩; for a tabular softmax
Σ_x D(x)² Σ_y π² A_j A_s.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.geometry.policy_gradient import (
    advantages,
    centred_score,
    kernel_form,
    value_gradients,
)
from covlaw.theory.statements._support.gradient_rounding import alignment_rounding, is_dense
from covlaw.theory.statements._support.inapplicable import NO_FISHER_IN_AN_LLM
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.statements.base import NOTHING, NegativeControl, Proof, Sides, Statement, joined
from covlaw.theory.worlds.world import World


def dense_kernel_form(world: World, score: Tensor) -> Tensor:
    """The double sum over all pairs of completions, with K itself: (M,); for small worlds."""
    weight, scores = world.row_weight(), world.scores()
    kernel = scores @ scores.T
    return (weight[:, None] * advantages(world)).T @ kernel @ (weight * centred_score(world, score))


def tabular_form(world: World, score: Tensor) -> Tensor:
    """Σ_x D(x)² Σ_y π² A_j A_s: (M,), for one free logit a completion."""
    return (world.row_weight().square() * centred_score(world, score)) @ advantages(world)


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Autograd through the enumerated values, against every form of the kernel that applies."""
    score = random_score(world, rng)
    forms = [kernel_form(world, score)]
    forms += [dense_kernel_form(world, score)] if is_dense(world) else []
    forms += [tabular_form(world, score)] if world.tabular else []
    return _compare(world, score, forms)


def covariance_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: K = identity, i.e. π instead of π² in the tabular softmax."""
    score = random_score(world, rng)
    mass = world.log_prob_at().exp()
    law = within_prompt_covariance(world.rewards, score, world.prompt, mass, world.prompt_mass)
    return _compare(world, score, [law.estimate])


def own_prompt_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: prompt by prompt, E_x of what each prompt's own gradients make."""
    score = random_score(world, rng)
    if not is_dense(world):
        return _compare(world, score, [])
    weight, scores, prompt = world.row_weight(), world.scores(), world.prompt
    kernel = torch.where(prompt[:, None] == prompt, scores @ scores.T, 0.0)
    form = (world.log_prob_at().exp()[:, None] * advantages(world)).T @ kernel
    return _compare(world, score, [form @ (weight * centred_score(world, score))])


def _compare(world: World, score: Tensor, forms: list[Tensor]) -> Sides:
    if not forms:
        return joined([NOTHING])
    gradients = value_gradients(world, torch.cat([world.rewards, score[:, None]], 1))
    alignment = gradients[:-1] @ gradients[-1]
    error = alignment_rounding(world, score)
    return Sides(alignment.repeat(len(forms)), torch.cat(forms), error.repeat(len(forms)))


@cache
def proofs() -> list[Proof]:
    """Tabular softmax: any number of arms, three, two, and two prompts of unequal mass."""
    from covlaw.theory.statements.gradients import _symbolic_kernel as symbolic

    return [
        Proof("n arms: each term of ⟨∇J_r, ∇J_s⟩ − Σ π² A_r A_s = 0", symbolic.any_arms_residual()),
        Proof("3 arms: ⟨∇J_r, ∇J_s⟩ − Σ π² A_r A_s = 0", symbolic.one_prompt_residual(3)),
        Proof("2 arms: ⟨∇J_r, ∇J_s⟩ − 2p(1−p)·Cov(r, s) = 0", symbolic.two_arm_residual()),
        Proof("2 prompts × 2 arms: … − Σ_x D² Σ π² A_r A_s = 0", symbolic.two_prompt_residual()),
    ]


STATEMENT = Statement(
    id="T11",
    title="Plain policy gradients align through the kernel of the scores",
    explanation="g_j is the gradient of an objective's mean reward in the parameters, A_j its"
    " advantage (reward minus the prompt's mean). Two plain gradients agree as the"
    " advantages do when completions are compared through the kernel K of the model's"
    " own score vectors, not through the covariance. A softmax table weighs each"
    " completion by its squared probability, so plain policy gradients nearly ignore"
    " rare completions and can move an objective against its covariance (F1).",
    kind="identity",
    formula="⟨∇J_j, ∇J_s⟩ = E_{x,x'} E[A_j K A_s]; tabular softmax: Σ_x D(x)² Σ_y π² A_j A_s",
    latex=r"\langle\nabla J_j,\nabla J_s\rangle = \mathbb{E}_{x,x'}\mathbb{E}[A_j K A_s],\quad"
    r"\text{tabular: }\sum_x D(x)^2\sum_y \pi^2 A_j A_s",
    assumptions=("π_θ differentiable", "closed form: one free logit a completion"),
    source="known (policy-gradient kernel); closed forms for the tabular softmax",
    needs=World,
    sides=sides,
    control=NegativeControl("the covariance itself: π instead of π²", covariance_sides),
    nearer=(NegativeControl("prompt by prompt: D(x) in place of D(x)D(x')", own_prompt_sides),),
    not_applicable={"llm": NO_FISHER_IN_AN_LLM},
    proofs=proofs,
)
