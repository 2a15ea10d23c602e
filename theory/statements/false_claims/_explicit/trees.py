"""Token trees from exact rational data: completions of given lengths and probabilities."""

from collections.abc import Sequence
from fractions import Fraction

import torch

from covlaw.theory.statements.false_claims._explicit.worlds import Rationals, as_tensor
from covlaw.theory.worlds.token_tree import TokenTree, TreeShape, softmax_tree


def fan_tree(
    label: str, policy: Sequence[Fraction], reward: Rationals, lengths: Sequence[int]
) -> TokenTree:
    """One prompt whose first token decides everything: completion k then runs on to length L_k.

    Args:
        label: Name of the world.
        policy: n probabilities that sum to exactly 1, of the first tokens.
        reward: n rewards.
        lengths: n lengths in tokens, at least 1.

    Raises:
        ValueError: if the probabilities do not sum to exactly 1.
    """
    if sum(policy) != 1:
        raise ValueError(f"{label}: probabilities sum to {sum(policy)}")
    rows, forced = len(policy), len(policy)
    choice = torch.full((rows, max(lengths)), -1)
    choice[:, 0] = torch.arange(rows)
    for k, length in enumerate(lengths):
        choice[k, 1:length] = torch.arange(forced, forced + length - 1)
        forced += length - 1
    context = torch.cat([torch.zeros(rows, dtype=torch.int64), torch.arange(1, forced - rows + 1)])
    shape = TreeShape(torch.zeros(rows, dtype=torch.int64), choice, context)
    theta = torch.cat([as_tensor(policy).log(), torch.zeros(forced - rows, dtype=torch.float64)])
    return softmax_tree(shape, theta, as_tensor(reward)[:, None], ("r",), label)
