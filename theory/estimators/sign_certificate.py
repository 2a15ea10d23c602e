"""How precisely K samples a prompt show a covariance, and when its sign is certain (T21)."""

from typing import NamedTuple

from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.weighting import Grouping
from covlaw.theory.estimators.covariance import Covariance
from covlaw.theory.estimators.intervals import interval
from covlaw.theory.estimators.prompt_means import PromptMeans
from covlaw.theory.tilts.tilt_problem import TiltProblem, tilt_problem

WRONG = 1 / 200
"""Probability at most of certifying the wrong sign of one objective."""
NOMINAL = WRONG / 2
"""What is asked of Student's quantile: the other half is for samples that are not normal."""
OFF = 3.0
"""Standard errors by which a mean ratio may miss 1."""
CERTAIN = 3.0
"""Standard errors beyond which a recorded number counts as certain, where its samples are gone: a
plain rule, which keeps its rate (.00135 of wrong signs) only for many prompts and light tails."""


class CovarianceMoments(NamedTuple):
    """What the variance of Ĉ is made of, (M,) each, in units of (value × signal)²."""

    spread: Tensor
    """E_x[μ22 − C_x²], μ22 = E_x[(r − E r)²(s − E s)²]: falls as 1/K."""
    product: Tensor
    """E_x[σ_r² σ_s² + C_x²]: falls as 1/(K(K−1))."""
    between: Tensor
    """Var_x(C_x) over the prompts: more completions a prompt do not lower it."""


def sampled_covariance_variance(
    values: Tensor,
    score: Tensor,
    completions: int,
    prompts: int,
    prompt: Tensor,
    mass: Tensor | None = None,
    prompt_mass: Tensor | None = None,
) -> Tensor:
    """Variance of Ĉ_j from `prompts` P random prompts × `completions` K each: (M,) (T21).

    [E_x((μ22 − C_x²)/K + (σ_r²σ_s² + C_x²)/(K(K−1))) + Var_x(C_x)]/P, for the K − 1 estimate
    averaged over prompts that are drawn from D independently.

    Args:
        values: (N, M) or (N,) rewards of the known policy.
        score: (N,) s.
        completions: K ≥ 2.
        prompts: P ≥ 1.
        prompt: (N,) integer prompt ids.
        mass: (N,) probabilities, or None for the empirical distribution of samples.
        prompt_mass: (P,) or None for uniform.

    Raises:
        CovlawError: on K below 2 or P below 1, and as `within_prompt_covariance`.
    """
    if completions < 2 or prompts < 1:
        raise CovlawError(
            f"{completions} completions of {prompts} prompts: a sampled covariance needs at least "
            "2 completions of at least 1 prompt"
        )
    problem = tilt_problem(values, score, Grouping(prompt, mass, prompt_mass))
    moments = covariance_moments(problem)
    pairs = completions * (completions - 1)
    within = moments.spread / completions + moments.product / pairs
    return (within + moments.between) / prompts


def covariance_moments(problem: TiltProblem) -> CovarianceMoments:
    """The three parts of Ĉ's variance, from a prepared problem."""
    groups, r, s = problem.groups, problem.advantage, problem.score[:, None]
    weight = problem.mass[:, None]
    law, mixed = groups.sum(weight * r * s), groups.sum(weight * r.square() * s.square())
    product = groups.sum(weight * r.square()) * groups.sum(weight * s.square())
    share = problem.prompt_mass
    between = share @ (law - share @ law).square()
    return CovarianceMoments(
        share @ (mixed - law.square()), share @ (product + law.square()), between
    )


def best_completions(problem: TiltProblem) -> Tensor:
    """K* = 1 + √(E_x[σ_r²σ_s² + C_x²]/Var_x(C_x)) of each objective: (M,), a real number ≥ 1 (T21).

    The completions a prompt at which a fixed budget P·K shows C_j most precisely: the variance
    times P·K is a constant + E[…]/(K − 1) + K·Var_x(C_x). inf where all prompts agree, and then
    one prompt with all completions is best; NaN where nothing varies.
    """
    moments = covariance_moments(problem)
    return 1 + (moments.product / moments.between).sqrt()


def sign_certified(covariance: Covariance) -> Tensor:
    """Whether the sign of Ĉ_j is taken as certain: (M,) bool (T21).

    It is where the interval of confidence 1 − 2·`NOMINAL` (`intervals.interval`) does not hold 0,
    so that a true zero is certified with probability at most 2·`WRONG`, a wrong sign with at most
    `WRONG`; docs/limits.md says in which simulation. For an exact change the mean ratio must also
    be 1 within `OFF` of its standard errors: where it is not, the sample misses what the update
    did most to. An exact covariance is certain wherever it exceeds its rounding; a single sampled
    prompt never is, nor is a reward that did not vary.

    Args:
        covariance: From `within_prompt_covariance` or `exact_change`.

    Raises:
        CovlawError: on a covariance that was put together by hand.
    """
    decided = interval(covariance, 1 - 2 * NOMINAL).decided
    drawn = covariance.drawn
    if drawn is None or drawn.weights.exact or not drawn.ratio:
        return decided
    return decided & mean_ratio(covariance).trusted


class MeanRatio(NamedTuple):
    """Mean importance ratio of a sample of π_old; 1 in truth."""

    estimate: Tensor
    standard_error: Tensor

    @property
    def trusted(self) -> Tensor:
        """Whether it is 1 within `OFF` standard errors; scalar bool."""
        return trusted(self.estimate - 1, self.standard_error)


def mean_ratio(covariance: Covariance) -> MeanRatio:
    """Mean of ρ over prompts with its error, of what `exact_change` returned; scalars.

    Raises:
        CovlawError: on a covariance with another signal.
    """
    drawn = covariance.drawn
    if drawn is None or not drawn.ratio:
        raise CovlawError("mean_ratio: give what exact_change returns, whose signal is a ratio")
    means = PromptMeans.of(drawn.signal[:, None], drawn.weights)
    return MeanRatio(1 + means.estimate()[0], means.error()[0])


def trusted(off: Tensor, error: Tensor) -> Tensor:
    """Whether a mean of ρ − 1 is 0 within `OFF` standard errors."""
    return ~(off.abs() > OFF * error)
