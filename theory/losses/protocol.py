"""What a policy loss is to the rest of the project: nobody else knows clips or aggregations."""

from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor

from covlaw.theory._numerics.arrays import Numbers


@runtime_checkable
class PolicyLoss(Protocol):
    """A policy's loss with its effective weight W and the score s that it follows.

    Built from the settings `clip_low`, `clip_high`, `dual_clip` and `aggregation`, each of which
    has the default of the loss's source. With B what a batch is divided by (its rows or its tokens)

        −∇loss = (1/B) Σ_i Σ_t w_it ∇log π(y_it | h_it)   (T24),   W_i = mean_t w_it,

    and where π_θ is the policy that sampled, W = s (T18).
    """

    published_aggregation: ClassVar[str]
    """The aggregation of the loss's source, or "" where an algorithm chooses it."""
    source: ClassVar[str]
    """One line: what it is, and the paper."""

    @property
    def clip_low(self) -> float:
        """Lower range ε_low in [0, 1]."""

    @property
    def clip_high(self) -> float:
        """Upper range ε_high ≥ 0."""

    @property
    def dual_clip(self) -> float | None:
        """Bound c > 1 on ρ where A < 0, or None."""

    @property
    def aggregation(self) -> str:
        """Of `covlaw.theory.losses.aggregation.AGGREGATIONS`."""

    def loss(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor) -> Tensor:
        """The loss of a batch, minimised and differentiable in `log_ratio`: a scalar.

        Args:
            advantage: (N,) one a completion, or (N, T) one a token; (N, T) is never read off the
                mask.
            log_ratio: (N, T) log π_θ − log π_old of each token; never read off the mask.
            mask: (N, T) true on completion tokens.
        """

    def token_weight(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor) -> Tensor:
        """W (N, T) float64 of T24, 0 off the mask."""

    def weight(self, advantage: Numbers, log_ratio: Numbers, mask: Numbers | None = None) -> Tensor:
        """W (N,) float64: the mean of `token_weight` over a completion's tokens.

        Without `mask`, `log_ratio` and `advantage` are (N,) sequence-level, where the loss has
        such a form.
        """

    def score(self, advantage: Tensor, lengths: Tensor) -> Tensor | None:
        """S (N,): what an advantage acts as at ratio 1, on π_old's own samples (T18).

        None where samples do not show it: an advantage (N, T) that differs from token to token
        acts through its mean over all completions that share a prefix (T16).
        """

    def clipped(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Which tokens the lower and the upper range held back: (N, T) bool each."""

    def bounded_ratio(self, ratio: Tensor, lengths: Tensor) -> Tensor:
        """The ratio (N,) of a whole completion, held to the range that the loss lets count."""

    def aggregate(self, per_token: Tensor, mask: Tensor) -> Tensor:
        """From (N, T) to one number, as the loss does: for the other terms beside it."""

    def share(self, part: Tensor, batch: Tensor) -> float:
        """Weight with which a micro-batch (mask of its rows) enters its batch (mask of all)."""
