"""T55: a KL term moves each objective by a covariance of its own, and which one its form decides.

In the reward, or as loss k2: −β·Cov(r_j, log π/π_ref); loss k3: +β·Cov(r_j, π_ref/π); k1: nothing.
"""

import numpy as np
import torch
from torch import Tensor
from torch.func import jvp

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.losses.kl_penalty import KL_ESTIMATORS, kl_signal, kl_to_reference
from covlaw.theory.statements._support.enumeration import tilted_derivative
from covlaw.theory.statements._support.inapplicable import NO_TILT_IN_AN_LLM
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.statements.base import NegativeControl, Part, Proof, Sides, Statement, joined
from covlaw.theory.worlds.tilt import tilt_log_ratio
from covlaw.theory.worlds.world import World

DIRECTIONS = 2
"""Random directions along which a loss is differentiated."""


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Each form's gradient against its signal's, and the tilt's rate against both covariances."""
    distance, beta = _draw(world, rng)
    parts = [_gradient(world, distance, form, form, rng) for form in KL_ESTIMATORS]
    for form in KL_ESTIMATORS:
        parts.append(_rate(world, distance, beta, (form, form), random_score(world, rng)))
    return joined(parts)


def other_signal(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: k3 pulls as k2 does, for both estimate the same KL."""
    distance, _ = _draw(world, rng)
    return joined([_gradient(world, distance, "k3", "k2", rng)])


def other_rate(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: under k3 objectives move by −β·Cov(r_j, log π/π_ref)."""
    distance, beta = _draw(world, rng)
    return joined([_rate(world, distance, beta, ("k3", "k2"), random_score(world, rng))])


def no_pull(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the penalty moves no objective, as if it acted on the policy alone."""
    distance, beta = _draw(world, rng)
    return joined([_rate(world, distance, beta, ("k2", "k1"), random_score(world, rng))])


def _draw(world: World, rng: np.random.Generator) -> tuple[Tensor, float]:
    """log π − log π_ref (N,) of a reference drawn near the policy, and β."""
    noise = torch.as_tensor(rng.normal(size=len(world.prompt)))
    mass = world.log_prob_at().exp()
    apart = tilt_log_ratio(noise, float(10 ** rng.uniform(-1, 0.3)), world.prompt, mass)
    return -apart, float(10 ** rng.uniform(-2, 1))


def _gradient(
    world: World, distance: Tensor, form: str, signal: str, rng: np.random.Generator
) -> Part:
    """−∂_v E_{π_old}[k(log π_θ)] by forward mode, against E_π[signal·∂_v log π]: (DIRECTIONS,)."""
    weight, reference = world.row_weight(), world.log_prob_at() - distance
    pull = kl_signal(distance, signal)

    def loss(theta: Tensor) -> Tensor:
        # rows of probability 0 (log −inf) must not meet 0·inf
        apart = torch.where(weight > 0, world.log_prob(theta) - reference, 0.0)
        return -weight @ kl_to_reference(apart, torch.zeros_like(apart), form)

    sums, slopes = [], []
    for v in torch.as_tensor(rng.normal(size=(DIRECTIONS, len(world.theta)))):
        slope = world.directional(v)
        sums.append(jvp(loss, (world.theta,), (v,))[1])
        slopes.append(torch.where(weight > 0, slope, 0.0))
    slope = torch.stack(slopes)
    # a likely completion's slope is a difference of terms as large as the steepest slope
    size = (weight * (1 + distance.abs() + (-distance).exp())).sum() * slope.abs().amax(1)
    error = rounding(size, _operations(world, distance))
    return torch.stack(sums), slope @ (weight * pull), error


def _rate(
    world: World, distance: Tensor, beta: float, forms: tuple[str, str], score: Tensor
) -> Part:
    """d/dη E r_j along s + β·signal, against Cov(r_j, s) + β·Cov(r_j, the KL's own signal)."""
    form, claimed = forms
    moved = tilted_derivative(world, world.rewards, score + beta * kl_signal(distance, form), 0.0)
    rows = (world.prompt, world.log_prob_at().exp(), world.prompt_mass)
    law = within_prompt_covariance(world.rewards, score, *rows).estimate
    own = within_prompt_covariance(world.rewards, kl_signal(distance, claimed), *rows).estimate
    size = score.abs().max() + beta * (1 + distance.abs().max() + (-distance).exp().max())
    error = rounding(4 * world.rewards.abs().amax(0) * size, _operations(world, distance))
    return moved, law + beta * own, error


def _operations(world: World, distance: Tensor) -> int:
    log_size = float(world.log_prob_at().clamp(min=-750).abs().max())
    rows = len(world.prompt) + world.depth + len(world.theta) + 32
    return int(8 * (rows + 4 * log_size + 8 * float(distance.abs().max())))


def proofs() -> list[Proof]:
    """Derivatives of the three forms in log π."""
    from covlaw.theory.statements.surrogates._symbolic_surrogates import kl_residuals

    return [Proof(f"d {name}/d log π + signal = 0", rest) for name, rest in kl_residuals()]


STATEMENT = Statement(
    id="T55",
    title="The KL term is one more objective of the law, and its form decides which",
    kind="identity",
    explanation="A penalty β·KL to a reference policy is trained like one more reward, with a "
    "covariance of its own: an objective moves by its covariance with the score, minus β times "
    "its covariance with log π/π_ref. So the penalty itself can lower an objective, wherever the "
    "reference does worse on it or well-liked completions have become likely; forecasts and "
    "budgets give it a row. As a loss, k2 has this very signal, the usual k3 another one, "
    "+β·π_ref/π, that of the KL the other way round: it pulls hardest at completions that the "
    "policy has all but given up. k1 pulls nowhere on average.",
    formula="dJ_j = Cov(r_j, s) − β·Cov(r_j, log π/π_ref) (in the reward, loss k2);"
    " Cov(r_j, s) + β·Cov(r_j, π_ref/π) (loss k3); Cov(r_j, s) (loss k1)",
    latex=r"dJ_j=\mathrm{Cov}(r_j,s)-\beta\,\mathrm{Cov}\big(r_j,\log\tfrac{\pi}{\pi_{\rm ref}}"
    r"\big)\ \text{(reward, }k_2),\quad+\beta\,\mathrm{Cov}\big(r_j,\tfrac{\pi_{\rm ref}}\pi\big)"
    r"\ (k_3),\quad+0\ (k_1)",
    assumptions=(
        "completions from the policy itself, π_ref covers it",
        "whole-completion log-probs; in the reward the penalty is not differentiated",
        "the rate of change: the tilt; the gradients: any parametrisation",
    ),
    source="ours; the estimators: Schulman 2020; their gradients: Tang & Munos 2025",
    needs=World,
    sides=sides,
    control=NegativeControl("k3 with the signal of k2: its gradient", other_signal),
    nearer=(
        NegativeControl("k3 with the signal of k2: the objectives' rates", other_rate),
        NegativeControl("the penalty moves no objective", no_pull),
    ),
    not_applicable={"llm": NO_TILT_IN_AN_LLM},
    proofs=proofs,
)
