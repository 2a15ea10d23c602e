"""How precisely K samples a prompt show a covariance, and when its sign is certain (T21)."""

from typing import NamedTuple

from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.weighting import Grouping
from covlaw.theory.estimators.covariance import Covariance
from covlaw.theory.tilts.tilt_problem import TiltProblem, tilt_problem

CERTAIN = 3.0
"""Standard errors beyond which a sign is taken as certain: wrong with probability .00135."""


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


def sign_certified(covariance: Covariance, z: float = CERTAIN) -> Tensor:
    """Whether |Ĉ_j| > z·(its standard error), so that its sign is taken as certain: (M,) bool.

    For many prompts the sign of one objective is then wrong with probability below the normal
    tail Φ(−z): .00135 at z = 3. An exact covariance is certain wherever it is not 0; a single
    sampled prompt, whose standard error is not known, never is.

    Args:
        covariance: From `within_prompt_covariance` or `exact_change`.
        z: Standard errors asked for, at least 0.

    Raises:
        CovlawError: on a negative or undefined z.
    """
    if not z >= 0:
        raise CovlawError(f"z is {z}: ask for a number of standard errors ≥ 0, e.g. 3")
    return covariance.estimate.abs() > z * covariance.standard_error
