"""From a value a token to one number a batch, and what that makes of a score (T18)."""

from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.errors import unknown

AGGREGATIONS = ("sequence_mean", "sequence_sum", "token_mean")


def check_aggregation(aggregation: str) -> None:
    """Refuse an unknown aggregation.

    Raises:
        CovlawError: with the near matches.
    """
    if aggregation not in AGGREGATIONS:
        raise unknown("aggregation", aggregation, AGGREGATIONS)


def aggregate(per_token: Tensor, mask: Tensor, aggregation: str) -> Tensor:
    """From a value a token to one number a batch, for every term of a loss alike.

    - `sequence_sum`: Σ_t over a completion, mean over completions: the law's own. Dr. GRPO divides
      it by a constant, its longest length T (Liu et al. 2025, arXiv:2503.20783): the same loss
      times 1/T, so the same step of AdamW (whose ε aside), and of SGD at T times the rate; a
      bound on the gradient's norm is T times as wide there.
    - `sequence_mean`: mean_t over a completion, then over completions (GRPO, Shao et al. 2024,
      arXiv:2402.03300); it makes the score A/L (T18).
    - `token_mean`: Σ over all tokens / their number (DAPO, Yu et al. 2025, arXiv:2503.14476).

    Each is (1/B) Σ_i (1/d_i) Σ_t value_it with d_i of `divisor` and B of `batch_size`.

    Args:
        per_token: (N, T), never read where `mask` is false.
        mask: (N, T) true on completion tokens.
        aggregation: One of `AGGREGATIONS`.

    Raises:
        CovlawError: for an unknown aggregation.
    """
    check_aggregation(aggregation)
    mask = mask.bool()
    value = per_token.where(mask, per_token.new_zeros(()))
    if aggregation == "token_mean":
        return value.sum() / mask.sum().clamp(min=1)
    per_completion = value.sum(1)
    if aggregation == "sequence_mean":
        per_completion = per_completion / mask.sum(1).clamp(min=1)
    return per_completion.mean()


def divisor(lengths: Tensor, aggregation: str) -> Tensor | None:
    """What a completion's own sum over tokens is divided by: its length (N,) ≥ 1, or None.

    The divisor that all completions of a batch share is `batch_size`.
    """
    return lengths.clamp(min=1) if aggregation == "sequence_mean" else None


def batch_size(mask: Tensor, aggregation: str) -> int:
    """What a whole batch is divided by: its tokens (at least 1) under `token_mean`, else its rows.

    Args:
        mask: (N, T).
        aggregation: One of `AGGREGATIONS`.
    """
    return max(int(mask.sum()), 1) if aggregation == "token_mean" else len(mask)


def share_of(part: Tensor, batch: Tensor, aggregation: str) -> float:
    """Weight with which a part's aggregate enters its batch's: its share of the rows or tokens.

    Σ over a partition of share × aggregate is the aggregate of the whole, for gradients too.

    Args:
        part: (n, T') mask of some rows.
        batch: (N, T) mask of all.
        aggregation: One of `AGGREGATIONS`.
    """
    size = int(part.sum()) if aggregation == "token_mean" else len(part)
    return size / batch_size(batch, aggregation)


def pair_effective_score(advantage: Tensor, lengths: Tensor, weight: Tensor) -> Tensor:
    """The score (N,) that an advantage acts as under `token_mean` with batches of two (T18).

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
