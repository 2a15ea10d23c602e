"""Base policies of the study's transformers: small likenesses of the LLM rung's style mixtures."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import unknown
from covlaw.toys.prefix_tree import PrefixTree
from covlaw.toys.study.ensemble import PolicyEnsemble
from covlaw.toys.token_rewards import answer, separator


class Style(NamedTuple):
    """How often a base policy answers in one way, and how often wrongly."""

    share: float
    wrong: float


class Mixture(NamedTuple):
    """What a base policy was brought up on, beside what it would write untrained."""

    terse: Style
    """The answer alone: concise, not clear."""
    stepwise: Style
    """A step, the separator, the answer: long and clear."""


MIXTURES: Mapping[str, Mixture | None] = {
    "untrained": None,
    "terse-right": Mixture(Style(0.5, 0.2), Style(0.5, 0.6)),
    "stepwise-right": Mixture(Style(0.5, 0.6), Style(0.5, 0.2)),
}
"""By what is mostly right: as on the LLM rung, short answers, or else the clear ones."""
KEPT = 0.3
"""Share of the untrained policy that the mixture keeps, so that no completion dies out."""
STEPS, RATE = 60, 0.03
"""Adam steps towards the mixture."""


def brought_up(ensemble: PolicyEnsemble, tree: PrefixTree, prompts: Tensor, name: str) -> Tensor:
    """Train the policies by maximum likelihood on a mixture of styles: θ (R, D).

    Args:
        ensemble: Untrained policies.
        tree: Their completions.
        prompts: (P, T) tokens.
        name: In `MIXTURES`.

    Raises:
        CovlawError: for an unknown mixture, with the near matches.
    """
    if name not in MIXTURES:
        raise unknown("base-policy mixture", name, tuple(MIXTURES))
    mixture = MIXTURES[name]
    if mixture is None:
        return ensemble.theta
    target = ensemble.prompt_share * written(mixture, tree, prompts)
    theta = torch.nn.Parameter(ensemble.theta.clone())
    optimiser = torch.optim.Adam([theta], lr=RATE, maximize=True)
    weight = torch.zeros(())
    for step in range(STEPS):
        optimiser.zero_grad()
        log_prob = ensemble.along(ensemble.log_policy(theta)).sum(2)
        if step == 0:
            own = ensemble.prompt_share * log_prob.detach().exp()
            weight = KEPT * own + (1 - KEPT) * target
        (weight * log_prob).sum().backward()
        optimiser.step()
    return theta.detach()


def written(mixture: Mixture, tree: PrefixTree, prompts: Tensor) -> Tensor:
    """Probability of every completion under a mixture, prompt by prompt: (P·N,)."""
    right = answer(tree, prompts)
    others = separator(tree) - 1  # answers that are wrong
    probability = torch.zeros(prompts.shape[0], len(tree.completions), dtype=torch.float64)
    total = mixture.terse.share + mixture.stepwise.share
    for style, steps in ((mixture.terse, 0), (mixture.stepwise, 2)):
        for row, symbols in enumerate(tree.completions.tolist()):
            last = _final_answer(symbols[: int(tree.lengths[row])], steps, separator(tree))
            if last is not None:
                # the step before the separator may be any symbol
                ways = tree.symbols if steps else 1
                chance = torch.where(right == last, 1 - style.wrong, style.wrong / others)
                probability[:, row] += style.share / total * chance / ways
    return probability.flatten()


def _final_answer(symbols: list[int], steps: int, mark: int) -> int | None:
    """The answer of a completion in one style: some steps before it, the last one the separator."""
    if len(symbols) != steps + 1 or symbols[-1] == mark:
        return None
    return symbols[-1] if not steps or symbols[-2] == mark else None
