"""T6: with one prompt no sign flips before η = 32·|C|/(R·S²): proved, so the search cannot win.

For given π, s and η the reward of range 1 with Δ(η) = 0 and the largest C solves a linear
programme with one constraint; by duality C = min_ν E(s̃ − ν(ρ − 1))⁺ with ρ = e^{ηs}/E e^{ηs}, a
piecewise linear function of ν that is least at one of its corners ν = s̃/(ρ − 1).
"""

import torch
from torch import Tensor

from covlaw.theory.probes.probe import Probe
from covlaw.theory.tilts.thresholds import ONE_PROMPT_RANGES

ARMS = 4


def earliest_flip(parameters: Tensor) -> Tensor:
    """32·C/(η S²) at the reward that flips at η with the largest C: (B,), conjectured ≤ 1."""
    policy, score, eta = _bandit(parameters)
    centred = score - (policy * score).sum(1, keepdim=True)
    shift = torch.expm1(eta[:, None] * score)
    mean = (policy * shift).sum(1, keepdim=True)
    excess = (shift - mean) / (1 + mean)  # ρ − 1
    corners = torch.where(excess != 0, centred / excess, 0.0)
    rest = centred[:, None, :] - corners[:, :, None] * excess[:, None, :]
    covariance = (policy[:, None, :] * rest.clamp(min=0)).sum(2).amin(1)
    return ONE_PROMPT_RANGES * covariance / eta


def _bandit(parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """π, s with min 0 and max 1, and η in [1e-3, 20]."""
    policy = parameters[:, :ARMS].softmax(1)
    inner = parameters[:, ARMS : 2 * ARMS - 2].sigmoid()
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64).expand(parameters.shape[0], 2)
    eta = 1e-3 + 20 * parameters[:, -1].sigmoid()
    return policy, torch.cat([ends, inner], 1), eta


def _describe(parameters: Tensor) -> dict[str, list[float] | float]:
    policy, score, eta = _bandit(parameters[None])
    return {"π": policy[0].tolist(), "s": score[0].tolist(), "η": float(eta[0])}


ONE_PROMPT_FLIP = Probe(
    id="one-prompt flip",
    statement="T6",
    question="With one prompt, can a sign flip before η = 32·|C|/(R·S²)?",
    standing="no: proved (theory/tilts/thresholds.py); 32 is best, approached as η → 0",
    dimension=2 * ARMS - 1,
    value=earliest_flip,
    describe=_describe,
    slack=1e-9,  # excess loses η ≥ 1e-3 relative digits, twice: 2⁻⁵³·1e6
)
