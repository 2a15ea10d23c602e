"""Law budget: where, between the covariance law and the realised change, does it stop holding?"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import Numbers, as_float64
from covlaw.theory._numerics.prompts import PromptIds
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import exact_change, within_prompt_covariance
from covlaw.theory.estimators.sign_certificate import sign_certified


class ScoreFields(NamedTuple):
    """The score-field chain of one update θ0 → θ1 = θ0 + u on π_old's completions, (N,) each (T9).

    η is the learning rate, ∇log π is at θ0, u the full realised step.
    """

    score: Tensor
    """s, the training signal: f0 = c·s."""
    policy_gradient: Tensor
    """f1 = η⟨∇log π, G_s⟩, G_s = E_π[A_s ∇log π]."""
    clipped_gradient: Tensor
    """f2 = η⟨∇log π, G_W⟩, G_W = E_behaviour[W ∇log π]."""
    batch_gradient: Tensor
    """f3 = η⟨∇log π, ĝ⟩, ĝ the gradient of the batch actually used."""
    step: Tensor
    """f4 = ⟨∇log π, u⟩: one JVP along the parameter change."""
    log_ratio: Tensor
    """f5 = log π_new − log π_old; f6 = exp f5 closes the chain."""


class LawBudget(NamedTuple):
    """Terms (M,) that add up to the realised change of each objective (T9)."""

    f0: Tensor
    """The law: c·Cov(r_j, s)."""
    kernel: Tensor
    """Parameters instead of a tilt."""
    clipping: Tensor
    """Clipping and off-policy weights."""
    sampling: Tensor
    """Batch gradient instead of the expected one; a loss's KL and entropy terms are part of the
    batch's gradient and of no field before it, so they show here."""
    optimiser: Tensor
    """Realised step instead of η·gradient (momentum, preconditioning, weight decay)."""
    logit: Tensor
    """Curvature of log π in θ."""
    tilt: Tensor
    """Curvature of exp."""
    realised: Tensor
    """Cov(r_j, ρ) on the same completions, computed apart from the terms."""
    scale: Tensor
    """c, a scalar: the law's effective step."""

    @property
    def terms(self) -> dict[str, Tensor]:
        """The seven terms by name, in the chain's order."""
        return {name: getattr(self, name) for name in self._fields[:7]}


class ShortBudget(NamedTuple):
    """The scale-free chain and its sign certificate (T10), (M,) each."""

    law: Tensor
    """c_u·Cov(r_j, s), s regressed on the realised first-order field."""
    direction: Tensor
    logit: Tensor
    tilt: Tensor
    bound: Tensor
    """sd(r_j)·Σ sd(gap fields): the gaps together cannot exceed it."""
    sample_certified: Tensor
    """bool: |law| > bound, so Cov(r_j, ρ) *on these completions* has the law's sign. An algebraic
    identity of the sample: on samples it says nothing of the population."""
    certified: Tensor
    """bool: the realised change has the law's sign. On enumerated completions `sample_certified`;
    on samples the sign of Cov(r_j, ρ) must be certain too (`sign_certified`)."""
    scale: Tensor
    """c_u, a scalar."""


def law_budget(
    rewards: Numbers,
    fields: ScoreFields,
    prompt: PromptIds,
    mass: Numbers | None = None,
    prompt_mass: Numbers | None = None,
) -> LawBudget:
    """Split the realised change of each objective into the law and six named gaps (T9).

    On enumerated completions the terms add up to the exact change; on samples they add up to the
    sample covariance with the importance ratio. c makes the kernel gap of s itself vanish; where
    s does not vary within prompts there is no law term and c = 0.

    Args:
        rewards: (N, M).
        fields: The chain, each (N,).
        prompt: (N,) prompt ids, integers or labels.
        mass: (N,) probabilities under π_old, or None for its samples.
        prompt_mass: (P,) or None.

    Raises:
        CovlawError: as `within_prompt_covariance`.
    """
    groups = (prompt, mass, prompt_mass)
    score, *rest = (as_float64(f, name) for name, f in fields._asdict().items())
    scale = fitted_scale(score, rest[0], *groups)
    chain = [scale * score, *rest, torch.expm1(rest[-1])]
    differences = [chain[0], *(after - before for before, after in pairwise(chain))]
    f0, kernel, clipping, sampling, optimiser, logit, tilt = (
        within_prompt_covariance(rewards, f, *groups).estimate for f in differences
    )
    realised = exact_change(rewards, fields.log_ratio, *groups).estimate
    return LawBudget(f0, kernel, clipping, sampling, optimiser, logit, tilt, realised, scale)


def short_budget(
    rewards: Numbers,
    fields: ScoreFields,
    prompt: PromptIds,
    mass: Numbers | None = None,
    prompt_mass: Numbers | None = None,
) -> ShortBudget:
    """Scale-free chain law → realised step → log-ratio → ratio, with a sign certificate (T10).

    Arguments and errors as `law_budget`; only `score`, `step` and `log_ratio` are read.

    Law and gaps are covariances on the completions given. Of samples, |law| > bound therefore fixes
    the sign of the *sample's* covariance with ρ: with a true change of +.002 and 32 prompts nearly
    every sample passes, half of them with the wrong population sign. The sign of the change itself
    is `certified` only with the sampling error of Cov(r_j, ρ), at the rate of `sign_certified`.
    """
    groups = (prompt, mass, prompt_mass)
    score = as_float64(fields.score, "score")
    step = as_float64(fields.step, "step")
    log_ratio = as_float64(fields.log_ratio, "log_ratio")
    scale = fitted_scale(score, step, *groups)
    chain = [scale * score, step, log_ratio, torch.expm1(log_ratio)]
    differences = [chain[0], *(after - before for before, after in pairwise(chain))]
    law, direction, logit, tilt = (
        within_prompt_covariance(rewards, f, *groups).estimate for f in differences
    )
    sizes = torch.stack([deviation(f, *groups) for f in differences])
    spread = deviation(rewards, *groups)
    bound = spread * sizes[1:].sum(0)
    # a tie, e.g. between a constant reward and no gap at all, must not be decided by rounding
    noise = rounding(spread * sizes.sum(0), 8 * score.shape[0])
    on_sample = law.abs() > bound + noise
    certain = on_sample
    if mass is None:
        certain = on_sample & sign_certified(exact_change(rewards, log_ratio, *groups))
    return ShortBudget(law, direction, logit, tilt, bound, on_sample, certain, scale)


def deviation(
    values: Numbers,
    prompt: PromptIds,
    mass: Numbers | None = None,
    prompt_mass: Numbers | None = None,
) -> Tensor:
    """sd(f) = √(E_x Var_x f) of each column: (M,)."""
    values = as_float64(values, "values")
    columns = values.reshape(values.shape[0], -1).unbind(1)
    groups = (prompt, mass, prompt_mass)
    variance = [within_prompt_covariance(f, f, *groups).estimate for f in columns]
    return torch.cat(variance).clamp(min=0).sqrt()


def fitted_scale(
    signal: Tensor,
    step: Tensor,
    prompt: PromptIds,
    mass: Numbers | None = None,
    prompt_mass: Numbers | None = None,
) -> Tensor:
    """Return c = E_x Cov(s, g)/E_x Var(s): c·s is nearest to the realised step's field g (T10).

    Args:
        signal: (N,) s; 0 is returned for one that is constant within prompts.
        step: (N,) g.
        prompt: (N,) ids.
        mass: (N,) probabilities where completions are enumerated.
        prompt_mass: (P,).
    """
    own, cross = within_prompt_covariance(
        torch.stack([signal, step], 1), signal, prompt, mass, prompt_mass
    ).estimate
    # centring a constant s leaves some roundings of its size: they are no signal to regress on
    noise = rounding(signal.abs().max(), 4 * signal.shape[0]).square()
    return torch.where(own > noise, cross / torch.where(own > noise, own, 1.0), 0.0)
