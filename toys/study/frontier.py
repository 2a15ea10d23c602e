"""How far an ensemble's policies are from the frontier of their start, at equal KL (T56)."""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory.tilts.equal_kl import room_at_kl
from covlaw.toys.study.ensemble import PolicyEnsemble
from covlaw.toys.study.supply import snapshot


class Start(NamedTuple):
    """Where an ensemble begins, prompt by prompt."""

    rewards: Tensor
    """(R, P, K, M)."""
    mass: Tensor
    """(R, P, K) π₀(y|x)."""
    prompt: Tensor
    """(P,) D(x)."""


def start_of(ensemble: PolicyEnsemble) -> Start:
    """Evaluate an ensemble's policies as they are."""
    now = snapshot(ensemble, ensemble.theta)
    rewards = ensemble.by_prompt(ensemble.rewards)
    share = ensemble.prompt_share[:: rewards.shape[2]]
    return Start(rewards, ensemble.by_prompt(now.mass), share)


def room(ensemble: PolicyEnsemble, start: Start, values: Tensor, kl: Tensor) -> Tensor:
    """By how much every reward could be higher at no more KL from the start, (R,).

    In shares of each reward's attainable range; 0 on the frontier.

    Args:
        ensemble: R policies.
        start: Of them.
        values: (R, M) J_j; NaN gives NaN.
        kl: (R,) KL(π ‖ π₀), mean over prompts, in nats.
    """
    floor, ceiling = ensemble.attainable
    size = torch.where(ceiling > floor, ceiling - floor, 1.0)
    found = room_at_kl(*start, values, kl, size).room
    return torch.where(values.isnan().any(1), torch.nan, found)
