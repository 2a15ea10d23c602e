"""What a per-token loss makes of a score: the effective score of each aggregation (T18)."""

from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.errors import unknown
from covlaw.theory.losses.policy_losses import AGGREGATIONS


def effective_score(advantage: Tensor, lengths: Tensor, aggregation: str) -> Tensor:
    """The score (N,) that a completion-level advantage acts as, before any centring (T18).

    `sequence_sum`: A itself; `sequence_mean`: A/L, for every token carries A/L and
    Σ_t ∇log π(y_t|h_t) = ∇log π(y|x). A constant in A is neutral in the first and not in the
    second, where it pays for short completions (a > 0) or long ones (a < 0).

    `token_mean` divides by the tokens of the whole batch: see `batch_effective_score`.

    Args:
        advantage: (N,) s − b.
        lengths: (N,) tokens of each completion, the end of sequence included; all ≥ 1.
        aggregation: `sequence_sum` or `sequence_mean`.

    Raises:
        CovlawError: for another aggregation.
    """
    if aggregation not in ("sequence_sum", "sequence_mean"):
        raise unknown("aggregation", aggregation, AGGREGATIONS[:2])
    advantage = as_float64(advantage, "advantage")
    return advantage / lengths if aggregation == "sequence_mean" else advantage


def pair_effective_score(advantage: Tensor, lengths: Tensor, weight: Tensor) -> Tensor:
    """The score (N,) that an advantage acts as under `token_mean` with batches of two.

    In a batch of B independent completions the loss is −Σ_i A_i Σ_t log π / Σ_i L_i, so that on
    average a completion acts with A·E[B/(L + Σ_{others} L)]; here B = 2, and the other one is drawn
    from `weight`. As B → ∞ the factor tends to the constant 1/E L: a finite-batch effect.

    Args:
        advantage: (N,) s − b.
        lengths: (N,) tokens of each completion.
        weight: (N,) probability of drawing each completion, summing to 1.
    """
    lengths = as_float64(lengths, "lengths")
    factor = (2 / (lengths[:, None] + lengths)) @ as_float64(weight, "weight")
    return as_float64(advantage, "advantage") * factor
