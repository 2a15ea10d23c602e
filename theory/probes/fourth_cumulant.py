"""T4, fourth order: |κ(r, s, s, s)| ≤ R·S³/8?

κ(r, s, s, s) = Cov(r, h) with h = s̃³ − 3Var(s)·s̃, and over rewards of range 1 the largest
|Cov(r, h)| is E|h − E h|/2.
"""

import torch
from torch import Tensor

from covlaw.theory.probes.probe import Probe

ARMS = 5
FOURTH_CUMULANT_BOUND = 1 / 8


def fourth_cumulant(parameters: Tensor) -> Tensor:
    """8·max_r |κ(r, s, s, s)| for R = S = 1: (B,), conjectured ≤ 1."""
    policy, score = _bandit(parameters)
    centred = score - (policy * score).sum(1, keepdim=True)
    variance = (policy * centred.square()).sum(1, keepdim=True)
    h = centred**3 - 3 * variance * centred
    spread = (h - (policy * h).sum(1, keepdim=True)).abs()
    return (policy * spread).sum(1) / 2 / FOURTH_CUMULANT_BOUND


def _bandit(parameters: Tensor) -> tuple[Tensor, Tensor]:
    policy = parameters[:, :ARMS].softmax(1)
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64).expand(parameters.shape[0], 2)
    return policy, torch.cat([ends, parameters[:, ARMS:].sigmoid()], 1)


def _describe(parameters: Tensor) -> dict[str, list[float] | float]:
    policy, score = _bandit(parameters[None])
    return {"π": policy[0].tolist(), "s": score[0].tolist()}


FOURTH_CUMULANT = Probe(
    id="fourth cumulant",
    statement="T4",
    question="Is |κ(r, s, s, s)| ≤ R·S³/8 for every policy, reward and score?",
    standing="open; attained by r = s = Bernoulli(1/2)",
    dimension=2 * ARMS - 2,
    value=fourth_cumulant,
    describe=_describe,
    slack=1e-13,  # some hundred roundings of numbers below 1
)
