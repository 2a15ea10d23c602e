"""T25: an inner step's law is Cov_old(r, W) minus a centring term, prompt by prompt."""

import numpy as np
from torch import Tensor

from covlaw.theory.estimators.clipped_law import clipped_law
from covlaw.theory.statements._support.inner_tilts import inner_tilt_derivative
from covlaw.theory.statements._support.rollout_rounding import ratio_size, weighted_rounding
from covlaw.theory.statements.base import NegativeControl, Sides, Statement
from covlaw.theory.worlds.updates import InnerStep


def sides(step: InnerStep, _: np.random.Generator) -> Sides:
    """Complex-step derivative of the tilted values against the centred law."""
    return _compare(step, centred=True)


def uncentred(step: InnerStep, _: np.random.Generator) -> Sides:
    """Cov_old(r_j, W) alone."""
    return _compare(step, centred=False)


def tilt_derivative(step: InnerStep) -> Tensor:
    """dJ_j/dη at η = 0 of π_η ∝ π_θ e^{η·A·1[not clipped]}: (M,), with its own clip rule."""
    advantage, ratio = step.advantage.numpy(), np.exp(step.log_ratio.numpy())
    return inner_tilt_derivative(step, np.where(_inside(advantage, ratio, step), advantage, 0.0))


def _inside(advantage: np.ndarray, ratio: np.ndarray, step: InnerStep) -> np.ndarray:
    ceiling = np.inf if step.dual_clip is None else step.dual_clip
    rising = (advantage >= 0) & (ratio <= 1 + step.clip_high)
    falling = (advantage < 0) & (ratio >= 1 - step.clip_low) & (ratio <= ceiling)
    return rising | falling


def _compare(step: InnerStep, centred: bool) -> Sides:
    rollouts = step.rollouts
    law = clipped_law(
        rollouts.rewards,
        step.advantage,
        step.log_ratio,
        step.clip,
        *rollouts.groups,
        centred=centred,
    )
    scale = step.advantage.abs().max() * ratio_size(rollouts, step.log_ratio)
    return Sides(
        tilt_derivative(step),
        law.estimate,
        weighted_rounding(rollouts, scale, 16),
    )


STATEMENT = Statement(
    id="T25",
    title="An inner step changes an objective by Cov_old(r_j, W) minus a centring term",
    kind="identity",
    explanation="At an inner step the policy π_θ has moved away from π_old, which sampled. The "
    "usual statistic is the covariance under π_old of a reward with W, the clipped ratio times "
    "advantage. The objective's true rate of change has a second term: how far the reward's mean "
    "has already moved, times the mean of W. That term is negligible while nothing is clipped, "
    "and as large as the first once much is, so that leaving it out can give the wrong sign.",
    formula="dJ_j/dη = Cov_old(r_j, W) − E_x{(E_θ[r_j|x] − E_old[r_j|x])·E_old[W|x]}",
    latex=r"\frac{dJ_j}{d\eta}=\overline{\mathrm{Cov}}_{\mathrm{old}}(r_j,W)-\mathbb{E}_x"
    r"\{(\mathbb{E}_\theta r_j-\mathbb{E}_{\mathrm{old}}r_j)\,\mathbb{E}_{\mathrm{old}}W\}",
    assumptions=(
        "the step is the tilt of π_θ along A·1[not clipped] "
        "(the natural gradient of a full tabular softmax)",
        "sequence-level importance ratio",
    ),
    source="ours",
    needs=InnerStep,
    sides=sides,
    control=NegativeControl("centring term forgotten: Cov_old(r_j, W)", uncentred),
    not_applicable={"llm": "the tilted policy of a language model cannot be enumerated"},
)
