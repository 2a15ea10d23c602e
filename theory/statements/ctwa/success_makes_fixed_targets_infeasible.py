"""T39: fixed targets become infeasible by success.

E_x sd_x(r_j) ≤ √(p(1−p)) for a pass/fail reward of mean p:
c = .15 is out of reach for p > .9770, c = .08 for p > .9936; log-weights then grow at η·c_j.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.ctwa_signals import mean_std
from covlaw.theory.statements._support.inapplicable import NO_EXACT_COVARIANCE_IN_AN_LLM
from covlaw.theory.statements.base import Ensemble, NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.statements.ctwa._closed_loop import (
    Bandits,
    Moment,
    as_bandits,
    closed_loop,
    draw_bandits,
)
from covlaw.theory.statements.ctwa._std_rounding import mean_std_error, signal_error
from covlaw.theory.worlds.world import World

STEP, RATE, STEPS = 0.05, 1.5, 25
"""η, the tilt on standardised advantages, and updates."""
SMALLEST, LARGEST = 0.03, 0.15
"""Range of the targets."""


def sides(instance: Bandits | World, rng: np.random.Generator) -> Sides:
    """Ceiling of the std at every step, the log-weights' pace, and the end: c·λ > g(λ)."""
    loop, targets = run(instance, rng)
    moments = list(loop)
    parts = [part for moment in moments for part in (_ceiling(moment), _pace(moment, targets))]
    return joined([*parts, _end(moments[-1], targets)])


def variance_sides(instance: Bandits | World, rng: np.random.Generator) -> Sides:
    """The false variant: the variance p(1−p) in place of the standard deviation."""
    moment = next(run(instance, rng)[0])
    p = moment.success
    measured = moment.covariances.mean_deviations()
    return Sides(measured.flatten(), (p * (1 - p)).flatten(), _std_error(moment).flatten())


def smaller_sides(instance: Bandits | World, rng: np.random.Generator) -> Sides:
    """The false variant: a ceiling 1 % below √(p(1−p))."""
    measured, ceiling, error = _ceiling(next(run(instance, rng)[0]))
    return Sides(measured, 0.99 * ceiling, error)


def run(instance: Bandits | World, rng: np.random.Generator) -> tuple[Iterator[Moment], Tensor]:
    """The loop's moments, and the targets it chases."""
    bandits = as_bandits(instance)
    shape = bandits.rewards.shape
    targets = torch.as_tensor(rng.uniform(SMALLEST, LARGEST, size=(shape[0], shape[3])))
    return closed_loop(bandits, targets, STEP, RATE, STEPS), targets


def _ceiling(moment: Moment) -> Part:
    """E_x sd_x(r_j) under √(p(1−p)): concavity of the root, and within under total variance."""
    p = moment.success
    measured = moment.covariances.mean_deviations()
    ceiling = (p * (1 - p)).clamp(min=0.0).sqrt()
    return measured.flatten(), ceiling.flatten(), _std_error(moment).flatten()


def _pace(moment: Moment, targets: Tensor) -> Part:
    """|Δu_j/η − c_j| under E_x sd_x(r_j): as |y_j| is; as that vanishes, u_j grows at η·c_j."""
    measured = (moment.rise / STEP - targets).abs()
    deviation = moment.covariances.mean_deviations()
    error = _std_error(moment) + signal_error(moment.covariances, moment.weights())
    return measured.flatten(), deviation.flatten(), error.flatten()


def _end(moment: Moment, targets: Tensor) -> Part:
    """g(λ) under c·λ: the bundle that the policy maximises has all but stopped to vary."""
    weights = moment.weights()
    error = mean_std_error(moment.covariances, weights)
    return mean_std(moment.covariances, weights), (targets * weights).sum(1), error


def _std_error(moment: Moment) -> Tensor:
    """Bound the error of √(p(1−p)) and of E_x sd_x: (B, M).

    Variances in [0, 1/4] err by γ, their roots by √γ at most and by γ/√variance.
    """
    arms = 4 * moment.covariances.prompt_mass.shape[-1] + 96
    unit = rounding(1.0, arms)
    deviation = moment.covariances.deviations()
    each = unit / torch.maximum(deviation, unit.sqrt())
    mean = (moment.covariances.prompt_mass[..., None] * each).sum(1)
    p = moment.success
    return mean + unit / torch.maximum((p * (1 - p)).clamp(min=0.0).sqrt(), unit.sqrt())


STATEMENT = Statement(
    id="T39",
    title="Fixed targets become infeasible by success",
    kind="bound",
    formula="E_x sd_x(r_j) ≤ √(p_j(1 − p_j)) for r_j in {0, 1} with mean p_j;"
    " |Δu_j/η − c_j| ≤ E_x sd_x(r_j); at the end of a closed loop g(λ) < c·λ",
    latex=r"\mathbb{E}_x\,\mathrm{sd}_x(r_j)\le\sqrt{p_j(1-p_j)},\quad"
    r"\left|\Delta u_j/\eta-c_j\right|\le\mathbb{E}_x\,\mathrm{sd}_x(r_j)",
    assumptions=(
        "r_j in {0, 1}",
        "closed loop: CTWA without running mean, tilt along λ·r over its std in each prompt",
        "end: after 25 tilts of strength 1.5",
    ),
    source="ours (Jensen's inequality and T35)",
    explanation="A covariance with a standardised advantage cannot exceed the reward's standard "
    "deviation. For a pass/fail reward that is at most √(p(1 − p)), so the target .15 is out of "
    "reach once 97.7 % of the completions pass, .08 once 99.4 % do. Training itself gets there: "
    "then log-weights grow steadily at the step times the target, about nothing. Let targets "
    "follow the headroom, c = α t*c, or stop CTWA once a reward is good enough.",
    needs=World,
    sides=sides,
    control=NegativeControl("the variance p(1 − p) is the ceiling", variance_sides),
    nearer=(NegativeControl("a ceiling 1 % below √(p(1 − p))", smaller_sides),),
    ensemble=Ensemble(draw_bandits, 64),
    not_applicable={"llm": NO_EXACT_COVARIANCE_IN_AN_LLM},
)
