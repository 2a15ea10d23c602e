"""The reference implementation's token-level Tchebycheff under REINFORCE++ (E8)."""

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError


def token_advantage(score: Tensor, unrewarded: Tensor, mask: Tensor | None) -> Tensor:
    """Returns-to-go of token scores, whitened over the batch's tokens: (N, T).

    The last token of a completion scores s, every other one `unrewarded`; so a token's return is
    s + (tokens after it)·unrewarded: a penalty on length wherever `unrewarded` < 0.

    Args:
        score: (N,) s.
        unrewarded: () score of a token that carries no reward.
        mask: (N, T) true on completion tokens; the advantage is 0 elsewhere.

    Raises:
        CovlawError: without a mask that fits, or with fewer than two tokens.
    """
    if mask is None or mask.shape[:1] != score.shape or mask.ndim != 2:
        raise CovlawError("tchebycheff with reference=True needs mask: (N, T), true on tokens")
    tokens = mask.to(torch.bool)
    if int(tokens.sum()) < 2:
        raise CovlawError("tchebycheff with reference=True: the batch has fewer than two tokens")
    after = tokens.flip(1).cumsum(1).flip(1) - 1
    returns = score[:, None] + after * unrewarded
    spread = returns[tokens].std()
    whitened = (returns - returns[tokens].mean()) / torch.where(spread > 0, spread, 1.0)
    return torch.where(tokens, whitened, 0.0)
