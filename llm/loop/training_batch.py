"""What makes an update: completions, their advantages, and the policies they are compared with."""

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from covlaw.llm.distributed.rows import own_pieces
from covlaw.llm.sampling.engine import Completions
from covlaw.llm.sampling.rollout import SampledRollouts


class TrainingBatch(NamedTuple):
    """What a loss reads of some rows, on the policy's device: log-probs beside, and no reward."""

    completions: Completions
    advantage: Tensor
    """(N,) float64, or (N, T) where it differs from token to token."""
    behaviour_log_prob: Tensor | None = None
    """(N, T) of the policy before the update; None: that is the model's own now, ratio 1."""
    reference_log_prob: Tensor | None = None
    """(N, T) of the policy that the KL term pulls to; None: no KL term."""

    @classmethod
    def of(cls, rollouts: SampledRollouts) -> "TrainingBatch":
        """Take the tokens and the advantage of rollouts."""
        completions = rollouts.completions
        return cls(completions, rollouts.trained_advantage().to(completions.tokens.device))

    def rows(self, index: Tensor) -> "TrainingBatch":
        """Select rows, dropping columns that are padding in all of them."""
        completions = self.completions.rows(index)
        width = completions.tokens.shape[1]

        def own(values: Tensor) -> Tensor:
            return values[index] if values.ndim == 1 else values[index, :width]

        old, reference = self.behaviour_log_prob, self.reference_log_prob
        return TrainingBatch(
            completions,
            own(self.advantage),
            None if old is None else own(old),
            None if reference is None else own(reference),
        )

    def parts(self, rows: int) -> Iterator["TrainingBatch"]:
        """Split this process's rows into micro-batches of at most `rows` rows."""
        pieces = own_pieces(len(self.advantage), rows, self.advantage.device)
        return (self.rows(piece) for piece in pieces)
