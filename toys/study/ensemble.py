"""Many small policies on the same completions, trained side by side in one tensor."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from covlaw.theory.estimators.interference import Attainable
from covlaw.theory.worlds.token_tree import TokenTree

Optimiser = Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer]
Rows = int | slice | Tensor
"""Some of the policies: an index along the leading axis."""


@dataclass(frozen=True, eq=False)
class PolicyEnsemble:
    """R policies, each with parameters and rewards of its own, on one list of completions.

    Args:
        tree: The completions (prompts, choices, contexts); the policy in it is not read.
        names: M objective names.
        rewards: (R, N, M).
        theta: (R, D) parameters, float64.
        log_policy: (R, D) → (R, E) log π(a|h) of every choice, row by row, differentiable.
        optimiser: Makes the optimiser of the (R, D) parameters; it must treat rows apart.
        natural: Whether steps follow the natural gradient: one token, one free logit a choice.
        depth: Roundings inside one log-prob.
    """

    tree: TokenTree
    names: tuple[str, ...]
    rewards: Tensor
    theta: Tensor
    log_policy: Callable[[Tensor], Tensor]
    optimiser: Optimiser
    natural: bool = False
    depth: int = 64

    @property
    def runs(self) -> int:
        """R."""
        return self.theta.shape[0]

    def rows(self, index: Tensor) -> "PolicyEnsemble":
        """Select policies, any of them several times."""
        return replace(self, rewards=self.rewards[index], theta=self.theta[index])

    @cached_property
    def mask(self) -> Tensor:
        """(N, T) true on tokens."""
        return self.tree.mask

    @cached_property
    def prompts(self) -> int:
        """P; each has the same number of completions, prompt by prompt."""
        return int(self.tree.world.prompt.max()) + 1

    @cached_property
    def prompt_share(self) -> Tensor:
        """(N,) D(x) of each completion's prompt."""
        return self.tree.world.row_weight(torch.ones_like(self.tree.lengths))

    def along(self, values: Tensor) -> Tensor:
        """Give each token its choice's value: (R, E) → (R, N, T), 0 after the last token."""
        if self._one_token:
            return values[..., None]
        padded = torch.cat([values, torch.zeros_like(values[:, :1])], 1)
        last = values.shape[1]
        choice = torch.where(self.mask, self.tree.choice, last).flatten()
        return padded.index_select(1, choice).reshape(-1, *self.mask.shape)

    def on_tokens(self, values: Tensor) -> Tensor:
        """Values (..., N, T) or (..., N, 1), with 0 off the tokens: (..., N, T)."""
        return values if self._one_token else torch.where(self.mask, values, 0.0)

    @cached_property
    def _one_token(self) -> bool:
        """Whether every completion is a single token, and the choices are in their order."""
        single = torch.arange(self.mask.shape[0])[:, None]
        return torch.equal(self.tree.choice, single)

    def by_prompt(self, values: Tensor) -> Tensor:
        """(R, N, ...) → (R, P, N/P, ...)."""
        return values.reshape(values.shape[0], self.prompts, -1, *values.shape[2:])

    def prompt_mean(self, values: Tensor, mass: Tensor) -> Tensor:
        """E_{π(.|x)} of (R, N): (R, P, 1)."""
        return self.by_prompt(values * mass).sum(2, keepdim=True)

    def centred(self, values: Tensor, mass: Tensor) -> Tensor:
        """Values (R, N, M) minus E_{π(.|x)} of their prompt."""
        grouped = self.by_prompt(values)
        mean: Tensor = self.by_prompt(mass)[:, :, None] @ grouped
        return (grouped - mean).flatten(1, 2)

    @cached_property
    def attainable(self) -> Attainable:
        """E_x min_y r_j and E_x max_y r_j, (R, M) each."""
        grouped = self.by_prompt(self.rewards)
        share = self.prompt_share[:: grouped.shape[2], None]
        return Attainable(*((share * r).sum(1) for r in (grouped.amin(2), grouped.amax(2))))


def softmax_policy(contexts: int) -> Callable[[Tensor], Tensor]:
    """(R, E) logits → log-probs, with E/H choices after each of H contexts, context by context."""

    def log_policy(theta: Tensor) -> Tensor:
        return theta.reshape(len(theta), contexts, -1).log_softmax(2).flatten(1)

    return log_policy
