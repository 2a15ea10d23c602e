"""The covariance law's forecast of an ensemble's next step, with its rounding bound."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.worlds.token_law import choice_mean, token_covariance, token_values
from covlaw.toys.study.ensemble import PolicyEnsemble
from covlaw.toys.study.supply import Snapshot


class Forecast(NamedTuple):
    """The law before one step."""

    covariance: Tensor
    """(R, M) Cov(r_j, A)."""
    bound: Tensor
    """(R, M) on its rounding error."""


def law_forecast(
    ensemble: PolicyEnsemble, now: Snapshot, advantage: Tensor, tokenwise: Sequence[int]
) -> Forecast:
    """Cov(r_j, A) of every policy before its step (T1).

    Where the tokens of a completion have different advantages, the law is that of the token tilt
    along their mean E[A_t|h, a] (T16).

    Args:
        ensemble: R policies.
        now: Before the step.
        advantage: (R, N, T), 0 off the tokens.
        tokenwise: The runs whose tokens differ.
    """
    weight = (now.share * advantage[:, :, 0])[:, None]  # of any token: but `tokenwise` they agree
    estimate, size = (weight @ now.gap)[:, 0], (weight.abs() @ now.gap.abs())[:, 0]
    if advantage.shape[2] > 1:
        for r in tokenwise:
            estimate[r], size[r] = _token_forecast(ensemble, now, advantage, r)
    return Forecast(estimate, rounding(size, 2 * advantage.shape[1] + ensemble.depth))


def _token_forecast(
    ensemble: PolicyEnsemble, now: Snapshot, advantage: Tensor, run: int
) -> tuple[Tensor, Tensor]:
    """Σ_h d(h) Cov_h(Q_j, E[A_t|h, a]) of one run, and the size of its terms: (M,) each."""
    tree, log_policy = ensemble.tree, now.log_choice[run]
    values = token_values(tree, ensemble.rewards[run], log_policy)
    direction = choice_mean(tree, advantage[run][..., None], log_policy)[:, 0]
    size = (values.taken * direction.abs()) @ values.advantage.abs()
    return token_covariance(values, direction), 2 * size
