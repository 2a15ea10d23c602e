"""Three objectives on token strings, small likenesses of accuracy, conciseness and clarity."""

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.toys.prefix_tree import PrefixTree

OBJECTIVES = ("accuracy", "conciseness", "clarity")


def answer(tree: PrefixTree, prompts: Tensor) -> Tensor:
    """The right last symbol for each prompt (P, T): the sum of its tokens, modulo V−2: (P,)."""
    return prompts.sum(1) % separator(tree)


def separator(tree: PrefixTree) -> int:
    """The symbol that sets an answer apart: V−2, never itself an answer."""
    return tree.vocabulary - 2


def token_rewards(tree: PrefixTree, prompts: Tensor, conflict: float = 0.5) -> Tensor:
    """Rewards of every completion of every prompt, prompt by prompt: (P·N, 3) in [0, 1].

    accuracy    1 if the last symbol is the prompt's answer;
    conciseness 1 − length/L;
    clarity     (1−κ)·1[the symbol before the last is the separator] + κ·length/L.

    κ = 0 rewards a mark that short strings can have too; κ = 1 rewards written steps, exactly
    against conciseness.

    Args:
        tree: Lists the completions; V ≥ 4, so that there are two answers and a separator.
        prompts: (P, T) tokens.
        conflict: κ in [0, 1], between clarity and conciseness.

    Raises:
        CovlawError: for κ outside [0, 1] or V < 4.
    """
    if not 0 <= conflict <= 1:
        raise CovlawError(f"conflict is {conflict}: use a value in [0, 1]")
    if tree.vocabulary < 4:
        raise CovlawError(f"vocabulary is {tree.vocabulary}: these rewards need at least 4 tokens")
    last, before = _symbol_from_end(tree, 1), _symbol_from_end(tree, 2)
    accuracy = (last == answer(tree, prompts)[:, None]).to(torch.float64)
    steps = tree.lengths.to(torch.float64) / tree.length
    marked = (before == separator(tree)).to(torch.float64)
    clarity = (1 - conflict) * marked + conflict * steps
    shared = torch.stack([1 - steps, clarity], 1).expand(prompts.shape[0], -1, -1)
    return torch.cat([accuracy[:, :, None], shared], 2).flatten(0, 1)


def _symbol_from_end(tree: PrefixTree, back: int) -> Tensor:
    """The `back`-th symbol from the end of each completion (N,), −1 where it is too short."""
    place = tree.lengths - back
    symbol = tree.completions.gather(1, place.clamp(min=0)[:, None])[:, 0]
    return torch.where(place >= 0, symbol, -1)
